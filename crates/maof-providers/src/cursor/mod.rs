//! Cursor's background agents: a call launches one, follows it, and answers what it has done.
//!
//! An agent works for minutes. Who does not wait for it any more drops the call or its reply, which ends the following;
//! with `cancel_on_drop` it deletes the agent too, unless Cursor has not told its id yet. What goes wrong after the
//! launch is not tried again: the agent has had its effects. So an attempt must be given more time than an agent is
//! followed for.
//!
//! ```
//! use maof_providers::CursorConfig;
//! let config: CursorConfig = serde_json::from_str(
//!     r#"{"api_key": "key_1", "repository": "https://github.com/your-org/your-repo", "ref": "main"}"#,
//! )?;
//! config.validate()?;
//! assert_eq!(CursorConfig::default().validate().unwrap_err().field(), Some("api_key"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod endpoint;
mod follow;
mod step;
mod wire;

pub use config::CursorConfig;
pub use endpoint::CursorEndpoint;
pub use follow::Tidy;

#[cfg(test)]
mod tests;
