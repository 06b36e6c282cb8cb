//! Enumerations that are written as words: in the JSON, in the store, in log lines.
//!
//! [`words!`](crate::domain::words::words) makes the type of one table: variant, word, and the doc comment that is the
//! word's meaning in the API's documentation as well. Words that EM may extend are `open` and keep what they do not know.

/// An enumeration and its words. `pub enum` is a closed list: `ALL`, `as_str`, `meaning`, `parse`, `Display`. `open enum`
/// has a variant `Other` besides, for EM's undocumented words; its words are read without regard to letter case.
macro_rules! words {
    (
        $(#[$about:meta])*
        pub enum $name:ident { $( $(#[doc = $meaning:literal])+ $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $( $(#[doc = $meaning])+ $variant, )+ }

        impl $name {
            /// Every one there is, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in the JSON and in the store.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What it means, for the documentation.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),+).trim_ascii(),)+ }
            }

            /// Reads the word, as it is written.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
    (
        $(#[$about:meta])*
        open enum $name:ident { $( $(#[doc = $meaning:literal])+ $variant:ident = $word:literal, )+ }
    ) => {
        $(#[$about])*
        pub enum $name {
            $( $(#[doc = $meaning])+ $variant, )+
            /// A word of EM's that is not documented.
            Other(String),
        }

        impl $name {
            /// The word in the store; of an undocumented one, EM's.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $word,)+ Self::Other(word) => word }
            }

            /// Reads the word, whatever its letter case.
            #[must_use]
            pub fn parse(word: &str) -> Self {
                $(if word.eq_ignore_ascii_case($word) { return Self::$variant; })+
                Self::Other(word.to_owned())
            }
        }
    };
}
pub(crate) use words;

#[cfg(test)]
mod tests {
    words! {
        /// A closed list.
        pub enum Light {
            /// Go.
            Green = "green",
            /// Stop,
            /// and wait.
            Red = "red",
        }
    }

    words! {
        /// An open list.
        #[derive(Debug, PartialEq, Eq)]
        open enum Colour {
            /// Like grass.
            Green = "green",
        }
    }

    #[test]
    fn a_closed_word_reads_back_as_what_it_was() {
        for light in Light::ALL {
            assert_eq!(Light::parse(light.as_str()), Some(*light));
        }
        assert_eq!(Light::parse("Green"), None);
        assert_eq!(Light::Red.to_string(), "red");
    }

    #[test]
    fn a_meaning_is_the_doc_comment_in_one_line() {
        assert_eq!(Light::Red.meaning(), "Stop, and wait.");
    }

    #[test]
    fn an_open_word_keeps_what_is_not_documented() {
        assert_eq!(Colour::parse("GREEN"), Colour::Green);
        assert_eq!(Colour::parse("Mauve"), Colour::Other("Mauve".into()));
        assert_eq!(Colour::parse("Mauve").as_str(), "Mauve");
    }
}
