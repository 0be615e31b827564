//! Never overspends: token bounds, prices, the hold and settle layers.
