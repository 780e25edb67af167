//! Life as a service: by systemd where it runs, as a process of our own in the background where
//! it does not.

pub mod pidfile;

pub mod background;

pub mod systemd;

pub mod notify;
