# SPDX-License-Identifier: MIT
"""A control service without a hypervisor behind it, for tests of gwctl: docs/api.md in memory.

`requests` keeps what came, `refuse` what to answer instead: {(method, path): (status, body bytes)}.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

MIGRATION = {
    "id": 1, "vm": "demo", "peer": "10.77.0.12", "epoch": 1, "outgoing": True, "state": "PRECOPY",
    "ended": False, "ok": False, "result": "", "round": 1, "pages_left": 2048,
    "rate_bytes_s": 1500000, "predicted_downtime_ms": 812.5, "bytes_sent": 4200000,
    "payload_bytes": 4190000, "pages_sent": 1023, "zero_pages_sent": 3000, "total_ms": 2900.1,
    "downtime_ms": 0.0, "downtime_parts_ms": {}, "rounds": [],
}
PARTS = {"stun": 0.1, "state": 2.0, "harvest": 0.2, "pages": 5.3, "verify": 0.0, "grant": 44.6,
         "run": 1.9}
ROUNDS = [{"pages": 1021, "zero_pages": 3075, "bytes": 4194304, "ms": 2955.5},
          {"pages": 13, "zero_pages": 0, "bytes": 53555, "ms": 2.7}]


class Node:
    def __init__(self):
        self.requests, self.refuse = [], {}
        self.images = {}                        # name: bytes
        self.vms = {"demo": self.vm("demo", "RUNNING")}
        self.console, self.typed = b"hello\r\n", b""
        self.accepted = None            # what the node says that it took; None: the truth
        self.polls_to_end, self.end = 3, {"state": "RELEASED", "ok": True, "result": "ok"}
        self.migrations = {}
        self.cpu = {"vendor": "GenuineIntel", "brand": "Some CPU", "phys_bits": 46, "xcr0": "0x7",
                    "tsc_khz": 50000, "tsc_scaling": False, "features": ["SSE3", "AVX2", "SEP"],
                    "shareable": ["SSE3", "AVX2"],
                    "levels": [{"name": "x86-64-v1", "missing": []},
                               {"name": "x86-64-v2", "missing": []}]}
        self.forced = None              # what the latest request to go down said
        self.records = [{"us": 10 * i, "event": "exit", "vcpu": 0, "kind": "io", "detail": "0",
                         "rip": "0000000000100000"} for i in range(5)]
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                query = {k: v[0] for k, v in parse_qs(url.query).items()}
                node.requests.append((self.command, url.path, body))
                status, answer, extra = node.answer(self.command, url.path, query, body)
                self.send_response(status)
                kind = "application/octet-stream"
                if not isinstance(answer, bytes):
                    answer, kind = json.dumps(answer).encode(), "application/json"
                self.send_header("Content-Type", kind)
                if status != 204:
                    self.send_header("Content-Length", str(len(answer)))
                for name, value in extra.items():
                    self.send_header(name, value)
                self.end_headers()
                if status != 204:
                    self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = serve

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = "127.0.0.1:%d" % self.server.server_port

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def sent(self, method, path):
        """Bodies of the requests of this kind."""
        return [body for m, p, body in self.requests if (m, p) == (method, path)]

    @staticmethod
    def vm(name, state):
        return {"name": name, "state": state, "memory": 16, "cpus": 1, "migrating": False,
                "uuid": "0-0", "clock_ms": 12.5, "host_bytes": 100000, "starts": 1,
                "vcpus": [{"id": 0, "halted": True, "rip": "00", "ran_ms": 1.5,
                           "exits": {"io": 7}}],
                "nics": [{"mac": "52:54:00:77:01:01", "switch": "nic0", "port": 2, "open": True,
                          "in_frames": 1, "out_frames": 2}]}

    # --- answers: (status, JSON value or bytes, headers) ------------------------------------------

    def answer(self, method, path, query, body):
        if (method, path) in self.refuse:
            status, text = self.refuse[method, path]
            return status, {"error": text}, {}
        parts = [unquote(p) for p in path.split("/")[2:]]
        handler = getattr(self, "on_" + parts[0], None)
        found = handler(method, parts[1:], query, body) if handler else None
        if found is None:
            return 404, {"error": f"no such thing: {method} {path}"}, {}
        return (*found, {}) if len(found) == 2 else found

    def on_node(self, method, parts, _query, body):
        if method == "POST" and parts in (["reboot"], ["poweroff"]):
            self.forced = json.loads(body).get("force", False)
            return 202, {}
        if parts == ["cpu"]:
            return 200, self.cpu
        if parts == ["log"]:
            return 200, b"[    0.000001] up\n"
        return 200, {"name": "a", "version": "0.1", "virtualization": "VT-x", "uptime_ms": 1000.5,
                     "tsc_khz": 50000, "features": [{"name": "EPT", "found": True}],
                     "memory": {"frames_bytes": 1 << 29, "free_bytes": 1 << 28, "guest_bytes": 0,
                                "hypervisor_bytes": 12 << 20},
                     "addresses": ["nic0 10.77.0.11"], "nics": [], "switches": []}

    def on_images(self, method, parts, _query, body):
        if not parts:
            return 200, {"images": [{"name": n, "bytes": len(b), "uploaded": True}
                                    for n, b in self.images.items()]}
        if method == "PUT":
            self.images[parts[0]] = body
            return 201, {"name": parts[0], "bytes": len(body)}
        return (204, b"") if self.images.pop(parts[0], None) is not None else None

    def on_vms(self, method, parts, query, body):
        if not parts:
            if method == "GET":
                return 200, {"vms": list(self.vms.values())}
            definition = json.loads(body)
            self.vms[definition["name"]] = self.vm(definition["name"], "STOPPED")
            return 201, self.vms[definition["name"]]
        vm = self.vms.get(parts[0])
        if vm is None:
            return None
        if len(parts) == 1:
            if method == "DELETE":
                del self.vms[parts[0]]
                return 204, b""
            return 200, vm
        return self.on_vm(method, vm, parts[1], query, body)

    def on_vm(self, method, vm, what, query, body):
        if what == "console" and method == "GET":
            at = int(query.get("from", 0))
            return 200, self.console[at:], {"X-Next": str(max(at, len(self.console)))}
        if what == "console":
            self.typed += body
            self.console += body.upper()
            return 200, {"accepted": len(body) if self.accepted is None else self.accepted}
        if what == "trace":
            at = int(query.get("from", 0))
            return 200, {"records": self.records[at:at + 3], "next": min(at + 3, len(self.records))}
        if what == "migrate":
            number = len(self.migrations) + 1
            self.migrations[str(number)] = {**MIGRATION, "id": number, "polls": 0}
            return 202, {"id": number}
        states = {"start": "RUNNING", "pause": "PAUSED", "resume": "RUNNING", "stop": "STOPPED"}
        vm["state"] = states[what]
        return 200, vm

    def on_migrations(self, _method, parts, _query, _body):
        if not parts:
            return 200, {"migrations": list(self.migrations.values())}
        m = self.migrations.get(parts[0])
        if m is None:
            return None
        if parts[1:] == ["cancel"]:
            self.end = {"state": "ABORTED", "ok": False, "result": "cancelled"}
            self.polls_to_end = 0
        m["polls"] += 1
        if m["polls"] > self.polls_to_end:
            m.update({"ended": True, "pages_left": 0, "downtime_ms": 54.1,
                      "downtime_parts_ms": PARTS, "rounds": ROUNDS, **self.end})
        return 200, m
