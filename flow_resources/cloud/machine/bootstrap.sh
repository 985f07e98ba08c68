#!/bin/bash
{{origin}}
set -e
D=/var/lib/flow-command
install -dm700 $D
cd $D
python3 -c 'import lzma
n=0
for c in input():n=n*94+ord(c)-33
open("script","wb").write(lzma.decompress(bytes.fromhex("0%x"%n)))'<<'E'
{{payload}}
E
exec bash $D/script
