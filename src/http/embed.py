#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""openapi.json as C: checked, compact, with the version of the program. Usage: embed.py FILE VERSION"""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
document["info"]["version"] = sys.argv[2]
data = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
print('#include "http/openapi.h"\n\nconst char openapi_json[] = {')
for i in range(0, len(data), 20):
    print("        " + " ".join(f"{byte if byte < 128 else byte - 256}," for byte in data[i : i + 20]))
print(f"        0,\n}};\nconst size_t openapi_json_size = {len(data)};")
