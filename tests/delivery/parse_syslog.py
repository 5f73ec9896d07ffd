"""Reads syslog messages, one a line, with parsers that owe nothing to our own code; prints one JSON object a line. With `cef` the body is read, too."""
import json
import sys

import pycef
from syslog_rfc5424_parser import SyslogMessage

for line in sys.stdin.buffer.read().decode("utf-8").splitlines():
    if not line:
        continue
    parsed = SyslogMessage.parse(line).as_dict()
    if sys.argv[1:] == ["cef"]:
        parsed["cef"] = pycef.parse(parsed["msg"].lstrip("\ufeff"))
    print(json.dumps(parsed))
