"""Requests that two HTTP parsers could read differently; each carries a mark."""

from tests.fakes.raw_client import CHAT

MARK = b"Zq9Canary"
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
)
PLAIN = HEAD + b"x-canary: " + MARK + b"\r\n"
TE = PLAIN + b"transfer-encoding: "
CL = PLAIN + b"content-length: "
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(CHAT), CHAT)
LENGTH = str(len(CHAT)).encode()
GET = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n"

SMUGGLING = {
    "CL.TE": CL + LENGTH + b"\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKS,
    "TE.CL": TE + b"chunked\r\ncontent-length: " + LENGTH + b"\r\n\r\n" + CHUNKS,
    "TE.TE": TE + b"chunked\r\ntransfer-encoding: identity\r\n\r\n" + CHUNKS,
    "TE twice": TE + b"chunked\r\ntransfer-encoding: chunked\r\n\r\n" + CHUNKS,
    "TE chunked twice in one": TE + b"chunked, chunked\r\n\r\n" + CHUNKS,
    "TE chunked, identity": TE + b"chunked, identity\r\n\r\n" + CHUNKS,
    "TE identity, chunked": TE + b"identity, chunked\r\n\r\n" + CHUNKS,
    "TE gzip, chunked": TE + b"gzip, chunked\r\n\r\n" + CHUNKS,
    "TE identity": TE + b"identity\r\n\r\n" + CHUNKS,
    "TE xchunked": TE + b"xchunked\r\n\r\n" + CHUNKS,
    "TE chunkedx": TE + b"chunkedx\r\n\r\n" + CHUNKS,
    "TE quoted": TE + b'"chunked"\r\n\r\n' + CHUNKS,
    "TE with parameter": TE + b"chunked;q=1\r\n\r\n" + CHUNKS,
    "TE with vertical tab": TE + b"\x0bchunked\r\n\r\n" + CHUNKS,
    "TE with a trailing vertical tab": TE + b"chunked\x0b\r\n\r\n" + CHUNKS,
    "TE with NUL": TE + b"chunked\0\r\n\r\n" + CHUNKS,
    "TE empty": TE + b"\r\n\r\n" + CHUNKS,
    "TE folded": TE + b"\r\n chunked\r\n\r\n" + CHUNKS,
    "TE spaced name": PLAIN + b"transfer-encoding : chunked\r\n\r\n" + CHUNKS,
    "TE tabbed name": PLAIN + b"transfer-encoding\t: chunked\r\n\r\n" + CHUNKS,
    "TE in HTTP/1.0": TE.replace(b"HTTP/1.1", b"HTTP/1.0") + b"chunked\r\n\r\n" + CHUNKS,
    "CL twice the same": CL + LENGTH + b"\r\ncontent-length: " + LENGTH + b"\r\n\r\n" + CHAT,
    "CL twice different": CL + LENGTH + b"\r\ncontent-length: 3\r\n\r\n" + CHAT,
    "CL list": CL + LENGTH + b", " + LENGTH + b"\r\n\r\n" + CHAT,
    "CL plus": CL + b"+" + LENGTH + b"\r\n\r\n" + CHAT,
    "CL minus": CL + b"-" + LENGTH + b"\r\n\r\n" + CHAT,
    "CL underscore": CL + b"6_1\r\n\r\n" + CHAT,
    "CL hex": CL + b"0x3d\r\n\r\n" + CHAT,
    "CL float": CL + LENGTH + b".0\r\n\r\n" + CHAT,
    "CL with words": CL + LENGTH + b" bytes\r\n\r\n" + CHAT,
    "CL empty": CL + b"\r\n\r\n" + CHAT,
    "CL huge": CL + b"9" * 30 + b"\r\n\r\n" + CHAT,
    "CL folded": CL + b"\r\n " + LENGTH + b"\r\n\r\n" + CHAT,
    "CL with vertical tab": CL + b"\x0b" + LENGTH + b"\r\n\r\n" + CHAT,
    "CL spaced name": PLAIN + b"content-length : " + LENGTH + b"\r\n\r\n" + CHAT,
    "CL Arabic digits": CL + "٦١".encode() + b"\r\n\r\n" + CHAT,
    "chunk size plus": TE + b"chunked\r\n\r\n+" + CHUNKS,
    "chunk size hex prefix": TE + b"chunked\r\n\r\n0x" + CHUNKS,
    "chunk size underscore": TE + b"chunked\r\n\r\n3_d\r\n" + CHAT + b"\r\n0\r\n\r\n",
    "chunk size negative": TE + b"chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n",
    "chunk size empty": TE + b"chunked\r\n\r\n\r\n" + CHAT,
    "chunk size huge": TE + b"chunked\r\n\r\n" + b"f" * 20 + b"\r\n",
    "chunk size trailing space": TE + b"chunked\r\n\r\n3d \r\n" + CHAT + b"\r\n0\r\n\r\n",
    "chunk ends with LF only": TE + b"chunked\r\n\r\n3d\n" + CHAT + b"\n0\n\n",
    "chunk data too long": TE + b"chunked\r\n\r\n3\r\n" + CHAT + b"\r\n0\r\n\r\n",
    "chunk extension of 20 KB": TE + b"chunked\r\n\r\n1;" + b"x" * 20_000 + b"\r\n{\r\n",
    "bare LF": PLAIN.replace(b"\r\n", b"\n") + b"content-length: " + LENGTH + b"\n\n" + CHAT,
    "bare LF in one header": PLAIN + b"a: b\ncontent-length: " + LENGTH + b"\r\n\r\n" + CHAT,
    "bare CR in a header": PLAIN + b"a: b\rc: d\r\n\r\n",
    "folded header": PLAIN + b"a: b\r\n c\r\ncontent-length: " + LENGTH + b"\r\n\r\n" + CHAT,
    "folded first header": b"GET /v1/models HTTP/1.1\r\n host: localhost\r\n\r\n",
    "header without colon": PLAIN + b"nonsense\r\n\r\n",
    "header without name": PLAIN + b": value\r\n\r\n",
    "NUL in a name": PLAIN + b"a\0b: c\r\n\r\n",
    "NUL in a value": PLAIN + b"a: b\0c\r\n\r\n",
    "two hosts": GET + b"host: other\r\n\r\n",
    "no host": b"GET /v1/models HTTP/1.1\r\nx-canary: " + MARK + b"\r\n\r\n",
    "lower-case method": b"get /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "HTTP/9.9": b"GET /v1/models HTTP/9.9\r\nhost: localhost\r\n\r\n",
    "HTTP/2.0": b"GET /v1/models HTTP/2.0\r\nhost: localhost\r\n\r\n",
    "HTTP/0.9 by name": b"GET /v1/models HTTP/0.9\r\nhost: localhost\r\n\r\n",
    "HTTP/0.9": b"GET /v1/models\r\n\r\n",
    "tab for space": b"GET\t/v1/models\tHTTP/1.1\r\nhost: localhost\r\n\r\n",
    "h2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    "binary": bytes(range(256)),
}
