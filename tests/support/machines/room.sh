# The first process of a room: it makes the room, and everything in it ends with it. It ends when the other end of its
# standard input does, so also when the tests are killed.
# Arguments: the base image, the folder that lies over it, an empty folder for the room, the name, the lock file.
set -eu
base=$1 rootfs=$2 room=$3 name=$4 lock=$5
cgroups=/sys/fs/cgroup

# These mounts are in a namespace of the room's own. Disks are in memory, and gone with the namespace.
mount -t tmpfs -o mode=0755,size=75% "$name" "$room"
mount -t tmpfs run /run # systemd-nspawn leaves files there
cd "$room"
mkdir base machines namespaces
echo "$name" >name
mount --bind "$base" base
cp -a "$rootfs" rootfs
chown -R root:root rootfs
mount -t cgroup2 none "$cgroups"
ip link set lo up
ip link add switch type bridge
ip link set switch up

# Control groups outlive a room that was killed: the next one removes them.
(
  flock 9
  for dead in "$cgroups"/machines-*; do
    if grep -qs 'populated 0' "$dead/cgroup.events"; then find "$dead" -depth -type d -exec rmdir {} + || :; fi
  done
  mkdir "$cgroups/$name"
  echo 1 >"$cgroups/$name/cgroup.procs"
) 9>"$lock"

echo ready
read -r _ || :

kill -9 -1 2>/dev/null || :
wait
echo 1 >"$cgroups/cgroup.procs"
for _ in $(seq 100); do
  find "$cgroups/$name" -depth -type d -exec rmdir {} + 2>/dev/null && break
  sleep 0.05
done
