//! Ids and names. Ids are UUIDv7 made by the [`Ids`] port; names are what people write in configuration.
//!
//! ```
//! use maof_core::{Name, RunId};
//! let name: Name = "analyst".parse()?;
//! assert_eq!(name.as_str(), "analyst");
//! assert!("no spaces, please".parse::<Name>().is_err());
//! assert!("not-a-uuid".parse::<RunId>().is_err());
//! # Ok::<(), maof_core::Error>(())
//! ```

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::error::{Error, Result};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// From a UUID.
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// As a UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Uuid::try_parse(text).map(Self).map_err(|_| {
                    Error::invalid_request(concat!("a ", $what, " id is a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057"))
                        .param("id")
                })
            }
        }
    };
}

id!(/// One call through the stack.
    CallId, "call");
id!(/// One request to one upstream.
    AttemptId, "attempt");
id!(/// One decision of the router.
    DecisionId, "decision");
id!(/// What a caller asked for.
    TaskId, "task");
id!(/// One durable execution of a task.
    RunId, "run");

/// Makes ids. The real one is random and ordered by time; tests count.
pub trait Ids: Send + Sync + fmt::Debug {
    /// A UUIDv7 that was never given before.
    fn next(&self) -> Uuid;
}

/// Makes random numbers. The real one is seeded by the operating system; tests print their seed.
pub trait Random: Send + Sync + fmt::Debug {
    /// A uniformly distributed number.
    fn next_u64(&self) -> u64;

    /// A number in `0..bound` (0 when `bound` is 0), uniform up to 2^-64.
    fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

/// The name of an agent, endpoint, provider, tenant, account …: 1 to 128 of `A-Z a-z 0-9 . _ : / @ -`.
///
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 128;

    /// A name from text that is known to be one, such as a literal.
    ///
    /// # Errors
    /// `invalid_request` when it is not.
    pub fn new(text: &str) -> Result<Name> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || b"._:/@-".contains(&b);
        if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(ok) {
            return Err(Error::invalid_request("a name has 1 to 128 characters of A-Z a-z 0-9 . _ : / @ -"));
        }
        Ok(Name(text.into()))
    }

    /// A name from a literal of our own code, which is not checked.
    pub(crate) fn literal(text: &'static str) -> Name {
        Name(text.into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Name> {
        Name::new(text)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Name::new(&text).map_err(|e| serde::de::Error::custom(e.message()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_bounded() {
        let check = |text: &str, ok: bool| assert_eq!(Name::new(text).is_ok(), ok, "{text}");
        check("openai/gpt-4o", true);
        check("a", true);
        check(&"a".repeat(128), true);
        for wrong in ["", "a b", "ü", "a\n", &"a".repeat(129)] {
            check(wrong, false);
        }
        assert!(serde_json::from_str::<Name>("\"a b\"").is_err());
    }

    #[test]
    fn below_stays_below_and_uses_the_whole_range() {
        #[derive(Debug)]
        struct Fixed(u64);
        impl Random for Fixed {
            fn next_u64(&self) -> u64 {
                self.0
            }
        }
        assert_eq!(Fixed(u64::MAX).below(10), 9);
        assert_eq!(Fixed(0).below(10), 0);
        assert_eq!(Fixed(u64::MAX).below(0), 0);
    }
}
