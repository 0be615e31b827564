//! The contract, in memory.

use std::sync::Arc;

use maof_core::{Journal, Ledger};

use super::MemoryStore;

maof_testkit::journal_contract!(async { (Arc::new(MemoryStore::default()) as Arc<dyn Journal>, ()) });
maof_testkit::ledger_contract!(async { (Arc::new(MemoryStore::default()) as Arc<dyn Ledger>, ()) });
