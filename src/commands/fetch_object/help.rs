//! What `--help` says beside the flags: forms, examples, tables. Fed from the tables of the code.

use super::source::SCHEMES;
use super::unpack::Format;

pub(super) const USAGE: &str = "podinit fetch-object [OPTIONS] <SOURCE> <DEST>
       podinit fetch-object [OPTIONS] --list <FILE>";

const EXAMPLES: &str = "\
SOURCE names one object, or every key that begins with it if it ends in / (s3, gs, az).
DEST is the file to write, or a directory: for a prefix, for an archive, if it ends in /, or if it is one.

Examples:
  podinit fetch-object https://host/app-1.2.gz ./app --unpack=gz --mode 0755 \\
      --sha256-file https://host/SHA256SUMS
  podinit fetch-object --endpoint-url http://127.0.0.1:8333 --anonymous s3://pub/a/ ./out \\
      --delete --dry-run
  podinit fetch-object --list objects.yaml

An entry of a list:
  - {source: \"s3://b/k\", dest: /data/k, version: \"3HL4k\", mode: \"0440\"}

In a Pod:
  initContainers:
  - name: weights
    image: ghcr.io/podinit/podinit:0.1.0
    args: [fetch-object, --unpack, --timeout=30m,
           --sha256=5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03,
           \"s3://data/app/weights.tar.zst\", /data/weights]
    securityContext: {runAsNonRoot: true, runAsUser: 65532,
                      allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts:
    - {name: data, mountPath: /data}
  - name: app-files
    image: ghcr.io/podinit/podinit:0.1.0
    args: [fetch-object, --include=*.bin, \"gs://data/app/v3/\", /data/app]
    volumeMounts:
    - {name: data, mountPath: /data}
  volumes:
  - {name: data, emptyDir: {}}";

/// What stands below the flags.
pub(super) fn after_long_help() -> String {
    let mut text = EXAMPLES.to_string();
    text.push_str("\n\nForms of SOURCE:\n");
    for scheme in SCHEMES {
        text.push_str(&format!(
            "  {:<33} such as {}\n",
            scheme.form, scheme.example
        ));
    }
    text.push_str("\nCredentials of the sources:\n");
    for scheme in SCHEMES {
        text.push_str(&format!("  {:<6} {}\n", scheme.name, scheme.needs));
    }
    text.push_str("\nFormats that are unpacked:\n");
    for format in Format::all() {
        text.push_str(&format!("  {:<8} {}\n", format.name(), about(format)));
    }
    text.push_str(
        "\nNot in this release: Azure's account keys and identities, S3's SSE-C keys, GCS's \
         external_account and authorized_user credentials, xz, listings of HTTP directories.",
    );
    text
}

/// What becomes of it, in a line.
fn about(format: Format) -> &'static str {
    match format {
        Format::Tar | Format::TarGz | Format::TarZst => "a directory, unpacked as it comes",
        Format::Zip => "a directory, unpacked once the whole archive is there",
        Format::Gz | Format::Zst => "one file, unpacked as it comes",
    }
}

/// The values of `--unpack`.
pub(super) fn unpack_names() -> String {
    let names: Vec<&str> = std::iter::once("auto")
        .chain(Format::all().map(Format::name))
        .collect();
    names.join(", ")
}

/// The help of `--unpack`.
pub(super) fn unpack() -> String {
    format!(
        "Unpack it: {} [without a value: auto, which goes by content]",
        unpack_names()
    )
}
