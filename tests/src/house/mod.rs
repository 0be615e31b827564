//! The rules of the house as functions from a root folder to [`Finding`]s: floors, circles, rooms, pages.
//!
//! Each takes the root of a checkout, so that `tests/house.rs` can hold them against this one and against
//! copies with a violation planted.
//!
//! ```
//! let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
//! for finding in maof_tests::house::floors(&root)? {
//!     eprintln!("{finding}");
//! }
//! # anyhow::Ok(())
//! ```

mod circles;
mod finding;
mod floors;
mod functions;
mod pages;
mod rooms;
mod sources;
mod workspace;

pub use circles::circles;
pub use finding::Finding;
pub use floors::floors;
pub use pages::{error_pages, invariants};
pub use rooms::rooms;
pub use sources::FOLDERS;
