#!/bin/bash
{{origin}}
set -eu
cd /var/lib
install -d -m 700 flow-command
(umask 077;python3 -c 'import base64,lzma,sys
sys.stdout.buffer.write(lzma.decompress(base64.b85decode(sys.stdin.read().strip())))'>flow-command/new<<'E'
{{payload}}
E
)
mv flow-command/new flow-command/script
exec bash /var/lib/flow-command/script
