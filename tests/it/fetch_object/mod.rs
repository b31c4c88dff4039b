//! `podinit fetch-object`, from outside: the numbered cases of its specification, its figures, and
//! campaigns of faults, against real stores and one that is scripted.

mod answers;
mod archives;
mod campaign;
mod checksums;
mod disks;
mod faults;
mod figures;
mod hostile;
mod keys;
mod limits;
mod lists;
mod prefixes;
mod redirects;
mod resume;
mod scene;
mod secrets;
mod sizes;
mod stores;
mod tls;
mod unchanged;
mod usage;

use scene::{Ends, OLD, Scene, big, refused, warnings};
