# By what the machines of a cluster know each other, as the Flow SDK computes it at the first boot: the last address in
# /etc/hosts is that of the head, and the ranks count from there upwards.
read -r NUM_NODES NODE_RANK HEAD_NODE_IP HEAD_NODE < <(awk -v me=$(hostname -s) '
/^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+/ && !/^127\./ {
n++; ip = $1; host = $2
for (i = 2; i <= NF; i++) { sub(/\..*/, "", $i); if ($i == me && !at) at = n }
}
END { print n + 0, at ? n - at : "-", ip, host }' /etc/hosts)
if [ "$NUM_NODES $NODE_RANK" = "{{machines}} -" ] || [ $NUM_NODES != {{machines}} ]; then
echo "[flow-command] waiting until /etc/hosts lists {{machines}} machines, and $(hostname -s) among them"
exit 1
fi
GPU_COUNT=$(nvidia-smi --list-gpus 2>/dev/null | grep -c '^GPU [0-9]*:')
export NUM_NODES NODE_RANK HEAD_NODE_IP HEAD_NODE GPU_COUNT MASTER_ADDR=${MASTER_ADDR:-$HEAD_NODE_IP} MASTER_PORT=${MASTER_PORT:-29500}
