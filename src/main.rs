//! podinit prepares the node and the shared volumes before a Pod's app starts.

fn main() {}
