"""A server that takes a request only where the vendor's own SDK signs it the same way. Prints its port."""
import http.server
import sys
from urllib.parse import parse_qsl, urlsplit

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer


class Check(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def take(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        given = self.headers["Authorization"]
        signed = given.split("SignedHeaders=")[1].split(",")[0].split(";")
        parts = urlsplit(self.path)
        request = SdkRequest(
            method=self.command, schema="http", host=self.headers["Host"], resource_path=parts.path,
            query_params=parse_qsl(parts.query, keep_blank_values=True),
            header_params={name: self.headers[name] for name in signed}, body=body)
        signer = Signer(BasicCredentials("vendor-ak", "vendor-sk", "project"))
        expected = signer.sign(request).header_params["Authorization"]
        answer = b"" if expected == given else ("expected " + expected).encode()
        self.send_response(200 if expected == given else 401)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = take

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Check)
print(server.server_port, flush=True)
server.serve_forever()
