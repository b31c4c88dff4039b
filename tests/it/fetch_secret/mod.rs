//! `podinit fetch-secret`, from outside: the numbered cases of its specification, its figures and
//! the round trips of its formats, against a real OpenBao.

mod campaign;
mod figures;
mod formats;
mod http;
mod logins;
mod namespaces;
mod paths;
mod pki;
mod publish;
mod refused;
mod roundtrip;
mod scene;
mod templates;
mod tls;
mod tokens;
mod usage;
mod values;
mod versions;
mod volume;
mod waiting;
mod writes;

use scene::{Scene, told, warning, warnings};
