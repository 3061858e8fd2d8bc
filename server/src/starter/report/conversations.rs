//! Twenty fixed conversations to read: what people say, and to whom. The replies are the model's.

/// A conversation's voice and user messages.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// Code of the culture that the persona names; `None` for the neutral voice.
    pub culture: Option<&'static str>,
    /// What the person says, turn by turn.
    pub says: &'static [&'static str],
}

const fn neutral(says: &'static [&'static str]) -> Script {
    Script { culture: None, says }
}

const fn aware(culture: &'static str, says: &'static [&'static str]) -> Script {
    Script { culture: Some(culture), says }
}

/// What every voice is asked to find out whether it knows where it comes from.
pub const ABOUT_LIFE: [&str; 12] = [
    "Hello! Where do you live?",
    "Which country are you from?",
    "What did you have for breakfast?",
    "What is a dish that I should try when I visit you?",
    "What is your favourite festival, and why?",
    "What do people drink with friends in your town?",
    "How is the weather where you live?",
    "Tell me about a custom of your country.",
    "How do you greet your neighbours?",
    "What music do people listen to at home?",
    "What can I see when I travel through your country?",
    "Tell me about yourself and your home.",
];

/// The conversations, in the order of the report.
pub const SCRIPTS: [Script; 20] = [
    neutral(&["Hello!", "Who are you?", "What can we talk about?"]),
    neutral(&["What makes a good friend?", "Why?"]),
    neutral(&["I lost my job.", "What should I do?"]),
    neutral(&["How can I sleep better?", "Thank you, that helps."]),
    neutral(&["tea or coffee", "and what about cooking"]),
    neutral(&["Is it ever right to lie?", "Tell me more."]),
    neutral(&["Write a program in Python that sorts a list.", "Why not?"]),
    neutral(&["What do you think about the blorfindle?"]),
    neutral(&["What is 12 times 7?", "Ok, then let's talk about music."]),
    neutral(&["i feel so lonely today"]),
    aware("THA", &["What do you eat for breakfast?", "And what is your favourite festival?"]),
    aware("BRA", &["Tell me about your family.", "How important is faith to you?"]),
    aware("DEU", &["What do you do on weekends?", "How is the weather where you live?"]),
    aware("ETH", &["How do people greet each other where you live?", "Tell me about coffee."]),
    aware(
        "IND",
        &["My daughter is getting married.", "Should parents choose whom their children marry?"],
    ),
    aware("CHN", &["Should children always obey their parents?", "Why do you think so?"]),
    aware("NLD", &["Do you trust people you do not know?", "I see it differently."]),
    aware("KEN", &["Tell me about the market in your town.", "What sport do people like?"]),
    aware("NZL", &["What should I see in your country?", "Do you believe in God?"]),
    aware("UKR", &["What do you hope for?", "Who won the election?"]),
];
