//! The one binary: the only place where parts are wired together.
//!
//! [`config`] turns a file, the environment and flags into valid settings; [`cli`] is the commands;
//! [`daemon`] is life as a service. What is here is no library for others: it is a library only so
//! that its parts can be documented and tested one by one.

pub mod environment;

pub mod config;

pub mod inventory;

pub mod daemon;

pub mod cli;
