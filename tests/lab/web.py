# SPDX-License-Identifier: MIT
"""The internet's sites: nginx with a certificate of the lab's own CA, on every address of `internet`."""
import json
import subprocess

from . import topology

CONFIG = """
user root; daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/log/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
    log_format hit escape=json '{{"name":"$ssl_server_name","host":"$host","address":"$server_addr",'
                               '"port":"$server_port","request":"$request"}}';
    access_log {dir}/web.hits hit;
    client_body_temp_path {dir}/nginx; proxy_temp_path {dir}/nginx; fastcgi_temp_path {dir}/nginx;
    uwsgi_temp_path {dir}/nginx; scgi_temp_path {dir}/nginx;
    server {{
        listen 80 default_server backlog=1024; listen [::]:80 default_server backlog=1024;
        listen 443 ssl default_server backlog=1024; listen [::]:443 ssl default_server backlog=1024;
        ssl_certificate {dir}/site.pem; ssl_certificate_key {dir}/site.key;
        ssl_protocols TLSv1.2 TLSv1.3; keepalive_timeout 600s; default_type text/plain;
        location / {{ return 200 "lab: $host\\n"; }}
        # A slow answer, as a streamed completion is: at 2 kB a second it outlives any address.
        location /stream {{ root {dir}/www; limit_rate 2k; }}
        location /big {{ root {dir}/www; }}
        # A model's API, while a test of tests/agents plays one.
        location /v1/ {{
            proxy_pass http://unix:{dir}/model; proxy_http_version 1.1; proxy_set_header Connection "";
            client_max_body_size 16m;
        }}
    }}
    # A group that no client sends a key for unasked: the server asks each for a second hello.
    server {{
        listen 8444 ssl; listen [::]:8444 ssl;
        ssl_certificate {dir}/site.pem; ssl_certificate_key {dir}/site.key; ssl_ecdh_curve secp384r1;
        ssl_protocols TLSv1.3; ssl_early_data on; default_type text/plain;
        location / {{ return 200 "lab: $host\n"; }}
    }}
    # HTTP/2, early data and client certificates, of which it says what came.
    server {{
        listen 8443 ssl http2; listen [::]:8443 ssl http2;
        ssl_certificate {dir}/site.pem; ssl_certificate_key {dir}/site.key; ssl_session_cache shared:lab:1m;
        ssl_protocols TLSv1.2 TLSv1.3; ssl_early_data on; ssl_verify_client optional_no_ca; default_type text/plain;
        location / {{
            return 200 "lab: $host $server_protocol reused=$ssl_session_reused certificate=$ssl_client_s_dn\n";
        }}
    }}
}}
"""


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def certificates(directory):
    """ca.pem, and site.pem with every name of the zone."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    openssl("req", "-x509", *key, "-subj", "/CN=ohguard lab CA", "-keyout", directory / "ca.key",
            "-out", directory / "ca.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    names = ",".join(f"DNS:{n}" for n in (*topology.ZONE, *topology.CERTIFIED))
    openssl("req", "-x509", *key, "-subj", "/CN=lab", "-CA", directory / "ca.pem", "-CAkey", directory / "ca.key",
            "-keyout", directory / "site.key", "-out", directory / "site.pem", "-addext", f"subjectAltName={names}",
            "-addext", "basicConstraints=critical,CA:FALSE")


def nginx(directory):
    www = directory / "www"
    www.mkdir()
    (www / "stream").write_text("".join(f"data: token {i}\n\n" for i in range(60000)))
    with open(www / "big", "wb") as f:
        f.truncate(64 << 20)
    (directory / "nginx").mkdir()
    (directory / "nginx.conf").write_text(CONFIG.format(dir=directory), encoding="utf-8")
    return ["nginx", "-e", str(directory / "log/nginx-error.log"), "-c", str(directory / "nginx.conf")]


def hits(directory):
    """Requests that were answered, oldest first."""
    path = directory / "web.hits"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
