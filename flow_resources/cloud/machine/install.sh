# Install what runs the command at every boot, and start it.
mkdir -p /var/log/flow /var/lib/flow /workspace
chmod 777 /workspace || true
echo ib_umad >/etc/modules-load.d/flow-command.conf
(
umask 077
cd /var/lib/flow-command
{{files}}
# The mounts come back by /etc/fstab. A missing one must not stop the boot: the command waits for it.
for folder in {{mounts}}; do
if mountpoint -q $folder; then
echo $folder
sed -Ei "/nofail/!s#^(\S+ $folder \S+ \S+)#\1,nofail#" /etc/fstab
fi
done >mounts
)
ln -sf ../flow-command.service /etc/systemd/system/multi-user.target.wants/
{{units}}
# The unit is the sign that all is installed: it is there whole, and last.
sync
mv /etc/systemd/system/flow-command.new /etc/systemd/system/flow-command.service
sync
systemctl daemon-reload
echo "::flow::user-command-start::"
systemctl start flow-command
# By these the SDK's tools know that a start-up script has ended.
touch /var/run/{fcp,mithril}-startup-complete /var/lib/flow/first-boot-completed
