# By what the machines of a cluster know each other, as the Flow SDK computes it at the first boot: the last address in
# /etc/hosts is that of the head, and the ranks count from there upwards.
# All that is set from here on is exported.
set -a
read NUM_NODES NODE_RANK HEAD_NODE_IP HEAD_NODE < <(awk -v me=$(hostname -s) '
/^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/ && !/^127\./ {
n++; ip = $1; head = $2
for (i = 2; i <= NF; i++) { sub(/\..*/, "", $i); if ($i == me && !at) at = n }
}
END { print n, at ? n - at : "?", ip, head }' /etc/hosts)
if [ "$NUM_NODES" != {{machines}} ] || [ "$NODE_RANK" = "?" ]; then
echo "[flow-command] waiting for this and all {{machines}} machines in /etc/hosts"
exit 1
fi
GPU_COUNT=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU [0-9]*:')
: ${MASTER_ADDR:=$HEAD_NODE_IP} ${MASTER_PORT:=29500}
