# What is done to one machine, in the room's namespaces: `machine.sh VERB ROOM NAME ...`.
set -eu
verb=$1 room=$2 name=$3
shift 3
here=$room/machines/$name
cd "$room"

mount_disk() {
  mountpoint -q "$here/root" ||
    mount -t overlay "$name" -o "lowerdir=rootfs:base,upperdir=$here/disk,workdir=$here/work" "$here/root"
}

case $verb in
rent) # NUMBER: a new disk, and a network namespace that is connected with those of the other machines
  mkdir -p "$here"/{root,disk,work,docker,volumes}
  mount_disk
  mkdir -p "$here"/root/{srv/volumes,mnt/local,opt/mithril,var/lib/foundry,var/lib/docker,var/log/journal}
  tr -d - </proc/sys/kernel/random/uuid >"$here/root/etc/machine-id"
  : >"namespaces/$name"
  unshare --net="namespaces/$name" true
  nsenter --net="namespaces/$name" ip link set lo up
  nsenter --net="namespaces/$name" ip link add host0 type veth peer name "port$1" netns 1
  ip link set "port$1" master switch up
  ;;
boot) # ADDRESS [OPTIONS of systemd-nspawn]
  address=$1
  shift
  nsenter --net="namespaces/$name" ip address flush dev host0
  nsenter --net="namespaces/$name" ip address add "$address/8" dev host0
  nsenter --net="namespaces/$name" ip link set host0 up
  group=/sys/fs/cgroup/$(cat name)/$name
  mkdir -p "$group"
  echo $$ >"$group/cgroup.procs"
  # Its control groups are a tree of its own, so that a unit that stops ends its processes.
  export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
  exec systemd-nspawn --quiet --boot --directory="$here/root" --machine="$name" --hostname="$name" \
    --register=no --keep-unit --kill-signal=SIGRTMIN+3 --console=pipe --resolv-conf=off --timezone=off \
    --link-journal=no --network-namespace-path="$room/namespaces/$name" --tmpfs=/mnt/local:mode=1777 \
    --capability=CAP_NET_ADMIN --system-call-filter='bpf keyctl add_key' --bind="$here/docker:/var/lib/docker" "$@"
  ;;
end) # the disk and the network are gone
  umount "$here/root"
  umount "namespaces/$name"
  rm -rf --one-file-system "$here" "namespaces/$name"
  find "/sys/fs/cgroup/$(cat name)/$name" -depth -type d -exec rmdir {} + 2>/dev/null || :
  ;;
*)
  echo "no verb $verb" >&2
  exit 2
  ;;
esac
