"""Fills the OpenBao server at 127.0.0.1:8200 for benches/fetch-secret and benches/limits.py.

    furnish.py WORK     WORK gets role-id and secret-id, of an approle role that may read all of secret/
"""
import json
import sys
import urllib.request


def call(path, body=None):
    """One request as root; POST if there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:8200/v1/{path}", data, {"X-Vault-Token": "root"})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"{}")


def put(path, secret):
    """Writes a secret of KV version 2."""
    call(f"secret/data/{path}", {"data": secret})


def main(work):
    call("sys/auth/approle", {"type": "approle"})
    call("sys/policies/acl/reader", {"policy": 'path "secret/data/*" { capabilities = ["read"] }'})
    call("auth/approle/role/app", {"token_policies": ["reader"]})
    role_id = call("auth/approle/role/app/role-id")["data"]["role_id"]
    secret_id = call("auth/approle/role/app/secret-id", {})["data"]["secret_id"]
    for name, text in [("role-id", role_id), ("secret-id", secret_id)]:
        with open(f"{work}/{name}", "w") as file:
            file.write(text)
    for number in range(1, 101):
        put(f"many/{number}", {"k": f"the value of secret {number}"})
    put("big", {"k": "x" * 900_000})


if __name__ == "__main__":
    main(sys.argv[1])
