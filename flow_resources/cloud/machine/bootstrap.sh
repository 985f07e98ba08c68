#!/bin/bash
{{origin}}
set -e
install -dm700 /var/lib/flow-command
cd /var/lib/flow-command
python3 -c 'import lzma,sys
n=0
for c in sys.stdin.read()[:-1]:n=n*94+ord(c)-33
open("script","wb").write(lzma.decompress(n.to_bytes(9999,"big").lstrip(b"\0")))'<<'E'
{{payload}}
E
exec bash /var/lib/flow-command/script
