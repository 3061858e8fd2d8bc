//! One colour per culture, the same everywhere and always beside its ISO code.
//!
//! Only hue and tone are chosen here; `style/` turns them into colours that contrast in light and dark.

use domain::culture::CultureCode;

/// The cultures of the method, in the order in which hues are dealt: neighbours in a list get hues
/// far apart.
const KNOWN: [&str; 19] = [
    "USA", "CAN", "BOL", "BRA", "GBR", "NLD", "DEU", "UKR", "CHN", "RUS", "IND", "THA", "KEN",
    "NGA", "ETH", "ZWE", "AUS", "NZL", "MEX",
];

/// Tones that `style/` knows: lightness steps, so that near hues differ for the colour-blind too.
pub const TONES: u32 = 3;

/// Hue in degrees and tone (0 is lightest) of a culture.
pub fn hue_and_tone(culture: CultureCode) -> (u32, u32) {
    let place = KNOWN.iter().position(|code| *code == culture.as_str()).map_or_else(
        || {
            culture
                .as_str()
                .bytes()
                .fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
        },
        |place| place as u32,
    );
    // The golden angle spreads any number of hues.
    ((place.wrapping_mul(137) + 20) % 360, place % TONES)
}

/// The inline style that carries the colour: `--hue:157;--tone:1`; a voice without culture is grey.
pub fn style(culture: Option<CultureCode>) -> String {
    match culture.map(hue_and_tone) {
        Some((hue, tone)) => format!("--hue:{hue};--tone:{tone};--chroma:.13"),
        None => "--hue:240;--tone:1;--chroma:.01".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cultures_share_a_colour() {
        let mut seen: Vec<_> = KNOWN.iter().map(|c| hue_and_tone(c.parse().unwrap())).collect();
        for (hue, tone) in &seen {
            assert!(*hue < 360 && *tone < TONES);
        }
        seen.sort_unstable();
        for pair in seen.windows(2) {
            let near = pair[1].0 - pair[0].0 < 8;
            assert!(!(near && pair[0].1 == pair[1].1), "{pair:?}");
        }
    }

    #[test]
    fn unknown_cultures_have_one_too() {
        for code in ["ZZZ", "THA-north", "USA-zzzzzzzzzzzz"] {
            let (hue, tone) = hue_and_tone(code.parse().unwrap());
            assert!(hue < 360 && tone < TONES, "{code}");
        }
        assert!(style(None).contains("--chroma:.01"));
    }
}
