//! A chart as a file: what a figure shows in the browser, written as an SVG that stands alone.
//!
//! A figure is words and drawings laid out by the browser. So its picture is read from the page: every
//! background, word and drawing at its place, with the colours and letters that it has there.

use std::fmt::Write;

use domain::xml::escaped;

/// A figure as it is laid out; lengths are CSS pixels from its upper left corner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picture {
    /// What it is.
    pub title: String,
    /// Colour behind everything.
    pub background: String,
    /// From back to front.
    pub marks: Vec<Mark>,
}

/// A place and a size.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Place {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// From left to right.
    pub width: f64,
    /// From top to bottom.
    pub height: f64,
}

/// Something to see.
#[derive(Debug, Clone, PartialEq)]
pub enum Mark {
    /// A filled rectangle: a background, or one side of a border.
    Area {
        /// Where.
        place: Place,
        /// Its colour.
        fill: String,
    },
    /// Words in one line.
    Words {
        /// Where the browser has put them.
        place: Place,
        /// What they say.
        text: String,
        /// Their colour.
        fill: String,
        /// Size, weight and family, as CSS.
        font: String,
        /// Whether they run from bottom to top.
        turned: bool,
    },
    /// An SVG element, complete but for its place.
    Drawing {
        /// Where.
        place: Place,
        /// Attributes and content: ` viewBox="…">…</svg>`.
        rest: String,
    },
}

impl Mark {
    fn place(&self) -> Place {
        match self {
            Self::Area { place, .. } | Self::Words { place, .. } | Self::Drawing { place, .. } => {
                *place
            }
        }
    }
}

/// Room around everything.
const MARGIN: f64 = 12.0;

/// Where letters stand within the height of their line, counted from its top.
const BASELINE: f64 = 0.79;

impl Picture {
    /// All of it with the margin; what is scrolled out of sight counts, to whichever side.
    pub fn bounds(&self) -> Place {
        let places = || self.marks.iter().map(Mark::place);
        let x = places().map(|place| place.x).fold(0.0, f64::min).floor() - MARGIN;
        let y = places().map(|place| place.y).fold(0.0, f64::min).floor() - MARGIN;
        let right = places().map(|place| place.x + place.width).fold(0.0, f64::max) + MARGIN;
        let bottom = places().map(|place| place.y + place.height).fold(0.0, f64::max) + MARGIN;
        Place { x, y, width: (right - x).ceil(), height: (bottom - y).ceil() }
    }

    /// The picture as an SVG file.
    pub fn svg(&self) -> String {
        let Place { x, y, width, height } = self.bounds();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"{x} {y} {width} {height}\" role=\"img\"><title>{}</title>\n\
             <rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{}\"/>\n",
            escaped(&self.title),
            escaped(&self.background),
        );
        for mark in &self.marks {
            svg.push_str(&drawn(mark));
            svg.push('\n');
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn drawn(mark: &Mark) -> String {
    let Place { x, y, width, height } = mark.place();
    match mark {
        Mark::Area { fill, .. } => format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{}\"/>",
            escaped(fill)
        ),
        Mark::Words { text, fill, font, turned, .. } => {
            let mut words = String::from("<text ");
            let _ = match turned {
                false => write!(words, "x=\"{x:.1}\" y=\"{:.1}\"", y + BASELINE * height),
                true => write!(
                    words,
                    "transform=\"translate({:.1} {:.1}) rotate(-90)\"",
                    x + BASELINE * width,
                    y + height
                ),
            };
            let _ = write!(
                words,
                " fill=\"{}\" style=\"{}\">{}</text>",
                escaped(fill),
                escaped(font),
                escaped(text)
            );
            words
        }
        Mark::Drawing { rest, .. } => {
            format!(
                "<svg x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"{rest}"
            )
        }
    }
}

/// Reading a figure from the page.
#[cfg(feature = "hydrate")]
mod read {
    use wasm_bindgen::JsCast;
    use web_sys::{CssStyleDeclaration, DomRect, Element, Node};

    use super::{Mark, Picture, Place};

    /// What is no part of the picture. What is folded away has a place as well, so nothing else tells of it.
    const LEFT_OUT: &str =
        ".figure-foot, .visually-hidden, select, input, label, script, details:not([open])";

    /// What a drawing's elements look like, which style sheets decide in the page.
    const LOOKS: [&str; 14] = [
        "fill",
        "fill-opacity",
        "stroke",
        "stroke-width",
        "stroke-opacity",
        "stroke-dasharray",
        "stroke-linecap",
        "opacity",
        "font-family",
        "font-size",
        "font-weight",
        "text-anchor",
        "dominant-baseline",
        "vector-effect",
    ];

    struct Reader {
        left: f64,
        top: f64,
        marks: Vec<Mark>,
    }

    /// The picture of `figure`; `None` where the browser doesn't tell how it looks.
    pub fn picture(figure: &Element) -> Option<Picture> {
        let corner = figure.get_bounding_client_rect();
        let mut reader = Reader { left: corner.left(), top: corner.top(), marks: Vec::new() };
        reader.element(figure)?;
        let title = figure.query_selector("h3").ok().flatten().and_then(|h| h.text_content());
        Some(Picture {
            title: title.unwrap_or_default(),
            background: background(figure).unwrap_or_else(|| "white".to_owned()),
            marks: reader.marks,
        })
    }

    /// The first colour behind an element that isn't clear.
    fn background(element: &Element) -> Option<String> {
        let mut element = Some(element.clone());
        while let Some(here) = element {
            let colour = property(&style(&here)?, "background-color");
            if is_seen(&colour) {
                return Some(colour);
            }
            element = here.parent_element();
        }
        None
    }

    fn style(element: &Element) -> Option<CssStyleDeclaration> {
        leptos::prelude::window().get_computed_style(element).ok().flatten()
    }

    fn property(style: &CssStyleDeclaration, name: &str) -> String {
        style.get_property_value(name).unwrap_or_default()
    }

    fn is_seen(colour: &str) -> bool {
        !colour.is_empty() && colour != "transparent" && colour != "rgba(0, 0, 0, 0)"
    }

    fn pixels(style: &CssStyleDeclaration, name: &str) -> f64 {
        property(style, name).trim_end_matches("px").parse().unwrap_or(0.0)
    }

    impl Reader {
        fn place(&self, rect: &DomRect) -> Place {
            Place {
                x: rect.left() - self.left,
                y: rect.top() - self.top,
                width: rect.width(),
                height: rect.height(),
            }
        }

        fn element(&mut self, element: &Element) -> Option<()> {
            let style = style(element)?;
            let hidden =
                property(&style, "display") == "none" || property(&style, "visibility") == "hidden";
            if hidden || element.matches(LEFT_OUT).ok()? {
                return Some(());
            }
            let place = self.place(&element.get_bounding_client_rect());
            if element.local_name() == "svg" {
                let rest = drawing(element)?;
                self.marks.push(Mark::Drawing { place, rest });
                return Some(());
            }
            self.surface(&style, place);
            let children = element.child_nodes();
            for child in (0..children.length()).filter_map(|index| children.item(index)) {
                match child.dyn_ref::<Element>() {
                    Some(element) => self.element(element)?,
                    None if child.node_type() == Node::TEXT_NODE => self.words(&child, &style)?,
                    None => {}
                }
            }
            Some(())
        }

        /// Background and borders.
        fn surface(&mut self, style: &CssStyleDeclaration, place: Place) {
            let fill = property(style, "background-color");
            if is_seen(&fill) {
                self.marks.push(Mark::Area { place, fill });
            }
            let Place { x, y, width, height } = place;
            for side in ["top", "right", "bottom", "left"] {
                let thick = pixels(style, &format!("border-{side}-width"));
                let fill = property(style, &format!("border-{side}-color"));
                let drawn = property(style, &format!("border-{side}-style")) != "none";
                if thick <= 0.0 || !drawn || !is_seen(&fill) {
                    continue;
                }
                let place = match side {
                    "top" => Place { height: thick, ..place },
                    "bottom" => Place { y: y + height - thick, height: thick, ..place },
                    "left" => Place { width: thick, ..place },
                    _ => Place { x: x + width - thick, width: thick, ..place },
                };
                self.marks.push(Mark::Area { place, fill });
            }
        }

        /// The words of a text, line by line as the browser has broken it.
        fn words(&mut self, node: &Node, style: &CssStyleDeclaration) -> Option<()> {
            let text: Vec<u16> = node.text_content()?.encode_utf16().collect();
            let turned = property(style, "writing-mode").starts_with("vertical");
            let [fill, size, weight, family] = ["color", "font-size", "font-weight", "font-family"]
                .map(|name| property(style, name));
            let font = format!("font-size:{size};font-weight:{weight};font-family:{family}");
            let range = leptos::prelude::document().create_range().ok()?;
            let mut lines: Vec<(Place, String)> = Vec::new();
            for (start, end) in runs(&text) {
                range.set_start(node, start as u32).ok()?;
                range.set_end(node, end as u32).ok()?;
                let place = self.place(&range.get_bounding_client_rect());
                let word = String::from_utf16_lossy(&text[start..end]);
                match lines.last_mut() {
                    Some((line, words)) if turned || (line.y - place.y).abs() < 1.0 => {
                        line.width = line.width.max(place.x + place.width - line.x);
                        line.height = line.height.max(place.y + place.height - line.y);
                        line.y = line.y.min(place.y);
                        words.push(' ');
                        words.push_str(&word);
                    }
                    _ => lines.push((place, word)),
                }
            }
            self.marks.extend(lines.into_iter().map(|(place, text)| Mark::Words {
                place,
                text,
                fill: fill.clone(),
                font: font.clone(),
                turned,
            }));
            Some(())
        }
    }

    /// Begin and end of everything between white space.
    fn runs(text: &[u16]) -> Vec<(usize, usize)> {
        let white = |unit: &u16| matches!(*unit, 9 | 10 | 13 | 32);
        let mut runs = Vec::new();
        let mut start = None;
        for (at, unit) in text.iter().enumerate() {
            match (white(unit), start) {
                (true, Some(from)) => {
                    runs.push((from, at));
                    start = None;
                }
                (false, None) => start = Some(at),
                _ => {}
            }
        }
        runs.extend(start.map(|from| (from, text.len())));
        runs
    }

    /// An SVG element with its looks written into it, from behind `<svg` on.
    fn drawing(element: &Element) -> Option<String> {
        let copy = element.clone_node_with_deep(true).ok()?.dyn_into::<Element>().ok()?;
        dress(element, &copy)?;
        for name in ["x", "y", "width", "height", "style", "class", "tabindex", "xmlns"] {
            copy.remove_attribute(name).ok()?;
        }
        let overflow = property(&style(element)?, "overflow");
        copy.set_attribute("overflow", if overflow == "visible" { "visible" } else { "hidden" })
            .ok()?;
        Some(copy.outer_html().strip_prefix("<svg")?.to_owned())
    }

    fn dress(element: &Element, copy: &Element) -> Option<()> {
        let style = style(element)?;
        let looks = LOOKS.map(|name| format!("{name}:{}", property(&style, name)));
        copy.set_attribute("style", &looks.join(";")).ok()?;
        copy.remove_attribute("class").ok()?;
        let (children, copies) = (element.children(), copy.children());
        for index in 0..children.length() {
            dress(&children.item(index)?, &copies.item(index)?)?;
        }
        Some(())
    }
}

#[cfg(feature = "hydrate")]
pub use read::picture;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_holds_everything_at_its_place() {
        let place = |x, y, width, height| Place { x, y, width, height };
        let picture = Picture {
            title: "Means & more".to_owned(),
            background: "rgb(255, 255, 255)".to_owned(),
            marks: vec![
                Mark::Area { place: place(0.0, 0.0, 100.0, 20.0), fill: "red".to_owned() },
                Mark::Words {
                    place: place(10.0, 0.0, 50.0, 20.0),
                    text: "a < b".to_owned(),
                    fill: "black".to_owned(),
                    font: "font-family:\"Some Sans\"".to_owned(),
                    turned: false,
                },
                Mark::Drawing {
                    place: place(0.0, 20.0, 300.0, 14.0),
                    rest: " overflow=\"hidden\"><rect/></svg>".to_owned(),
                },
            ],
        };
        assert_eq!(picture.bounds(), place(-12.0, -12.0, 324.0, 58.0));
        let svg = picture.svg();
        for part in [
            "<title>Means &amp; more</title>",
            "viewBox=\"-12 -12 324 58\"",
            "<rect x=\"0.0\" y=\"0.0\" width=\"100.0\" height=\"20.0\" fill=\"red\"/>",
            "<text x=\"10.0\" y=\"15.8\" fill=\"black\" style=\"font-family:&quot;Some Sans&quot;\">a &lt; b</text>",
            "<svg x=\"0.0\" y=\"20.0\" width=\"300.0\" height=\"14.0\" overflow=\"hidden\"><rect/></svg>",
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        let nothing = Picture::default().bounds();
        assert_eq!(nothing, place(-12.0, -12.0, 24.0, 24.0), "nothing is a picture too");
        // A table that was scrolled to the right begins left of the figure.
        let fill = "red".to_owned();
        let scrolled = Mark::Area { place: place(-200.5, 4.0, 40.0, 10.0), fill };
        let picture = Picture { marks: vec![scrolled], ..Picture::default() };
        assert_eq!(picture.bounds(), place(-213.0, -12.0, 225.0, 38.0));
        assert!(picture.svg().contains("viewBox=\"-213 -12 225 38\""), "{}", picture.svg());
    }
}
