# SPDX-License-Identifier: MIT
"""The hosts' control service, from outside their network: requests through one small program.

Entering a namespace costs a process, and who watches a migration asks many times a second.  So
one program runs in the lab's network and makes the requests that it reads, a JSON object a line
on standard input, and writes each answer as one line: {"status", "headers", "body"}, or {"error"}
when there was no answer.  `Api` starts it and is what tests use; `python3 api.py` is the program.
"""

import base64
import http.client
import json
import os
import subprocess
import sys

from .proc import LabError

TIMEOUT_S = 60                          # an emulated host on a busy machine is slow


class ApiError(LabError):
    """The host refused: its status and its sentence."""

    def __init__(self, status, sentence):
        super().__init__(f"{status}: {sentence}")
        self.status, self.sentence = status, sentence


class NoAnswer(LabError):
    """The host did not answer."""


class Api:
    """Requests to the hosts of a lab, by the node's name.  Close it before the lab goes down."""

    def __init__(self, lab):
        self.address = {n["name"]: n["address"] for n in lab.config()["nodes"]}
        self.program = lab.popen([sys.executable, "-m", "lablib.api"], text=True, bufsize=1,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

    def close(self):
        self.program.stdin.close()
        self.program.stdout.close()
        self.program.wait(timeout=TIMEOUT_S + 10)

    def raw(self, node, method, path, body=b"", timeout=TIMEOUT_S):
        """(status, headers with lower-case names, body)"""
        question = {"host": self.address[node], "method": method, "path": path,
                    "timeout": timeout, "body": base64.b64encode(body).decode()}
        self.program.stdin.write(json.dumps(question) + "\n")
        line = self.program.stdout.readline()
        if not line:
            raise NoAnswer("the program that makes requests in the lab's network has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise NoAnswer(f"{method} {path} at node {node}: {answer['error']}")
        return answer["status"], answer["headers"], base64.b64decode(answer["body"])

    def call(self, node, method, path, value=None, timeout=TIMEOUT_S):
        """JSON in, JSON out; a refusal is an ApiError."""
        body = b"" if value is None else json.dumps(value).encode()
        status, _, text = self.raw(node, method, path, body, timeout)
        answer = json.loads(text) if text else None
        if status >= 400:
            raise ApiError(status, (answer or {}).get("error", ""))
        return answer

    def get(self, node, path, **options):
        return self.call(node, "GET", path, **options)

    def post(self, node, path, value=None, **options):
        return self.call(node, "POST", path, value, **options)

    def upload(self, node, name, path):
        """Make the file at `path` an image of the node."""
        with open(path, "rb") as f:
            status, _, text = self.raw(node, "PUT", f"/v1/images/{name}", f.read(), 120)
        if status != 201:
            raise ApiError(status, json.loads(text)["error"])

    def console(self, node, vm, begin=0):
        """What the VM said since byte `begin`, and where to go on."""
        _, headers, text = self.raw(node, "GET", f"/v1/vms/{vm}/console?from={begin}")
        return text.decode("ascii", "replace"), int(headers.get("x-next", begin))


# --- the program in the lab's network --------------------------------------------------------

def ask(question):
    link = http.client.HTTPConnection(question["host"], timeout=question["timeout"])
    try:
        link.request(question["method"], question["path"],
                     base64.b64decode(question["body"]) or None)
        answer = link.getresponse()
        return {"status": answer.status,
                "headers": {k.lower(): v for k, v in answer.getheaders()},
                "body": base64.b64encode(answer.read()).decode()}
    except (OSError, http.client.HTTPException) as e:
        return {"error": f"{type(e).__name__}: {e}"}
    finally:
        link.close()


def main():
    for line in sys.stdin:
        print(json.dumps(ask(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
