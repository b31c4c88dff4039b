//! `podinit wait-for`, from outside: the numbered cases of its specification, its figures, and
//! faults on the wire, against real servers and scripted ones.

mod amqp;
mod combining;
mod dns;
mod faults;
mod figures;
mod files;
mod grpc;
mod handover;
mod http;
mod kafka;
mod kubernetes;
mod latency;
mod memory;
mod mongodb;
mod mysql;
mod names;
mod nats;
mod postgres;
mod postgres_login;
mod proxies;
mod redis;
mod report;
mod retrying;
mod run;
mod s3;
mod sockets;
mod tls;
mod usage;
mod vault;

use run::{AT_ONCE, LATE, Wait, closed, plainly, wait_for};
