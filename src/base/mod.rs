//! What every command shares. Nothing here knows a command.

pub mod argument;
pub mod deadline;
pub mod environment;
pub mod failure;
pub mod file;
pub mod http;
pub mod log;
pub mod retry;
pub mod secret;
pub mod signals;
pub mod stream;
pub mod successor;
pub mod termination;
pub mod text;
pub mod words;
