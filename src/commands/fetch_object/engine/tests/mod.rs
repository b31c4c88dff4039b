//! The engine against a store in memory that can do every fault there is.

mod bench;
mod changes;
mod files;
mod random;
mod resume;
mod store;
mod streams;
mod time;
