"""Reads syslog messages, one a line, with parsers that owe nothing to our own code; prints one JSON object a line. With `cef` the body is read, too."""
import json
import re
import sys

import pycef
from syslog_rfc5424_parser import SyslogMessage

for line in sys.stdin.buffer.read().decode("utf-8").splitlines():
    if not line:
        continue
    parsed = SyslogMessage.parse(line).as_dict()
    # The parser finds where values end and leaves their escapes in (RFC 5424, 6.3.3).
    for parameters in parsed["sd"].values():
        for name, value in parameters.items():
            parameters[name] = re.sub(r'\\(["\\\]])', r"\1", value)
    if sys.argv[1:] == ["cef"]:
        parsed["cef"] = pycef.parse(parsed["msg"].lstrip("\ufeff"))
    print(json.dumps(parsed))
