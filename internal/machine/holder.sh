# The first process of a machine: lays its root on a copy in memory, takes it for its own, and waits for the order to become
# systemd. Its input is held by the test, so that it ends with it. Arguments: the folder with the root that is kept, the host's name, the
# size of the disk, and the capabilities that are taken away.
set -e
base=$1
hostname "$2"
read -r pid rest </proc/self/stat
mount -t tmpfs -o "size=$3,mode=755" room "$base/room"
mkdir "$base/room/upper" "$base/room/work" "$base/room/root"
mount -t overlay -o "lowerdir=$base/root,upperdir=$base/room/upper,workdir=$base/room/work" overlay "$base/room/root"
cd "$base/room/root"

mount -t proc -o nosuid,nodev,noexec proc proc
# Settings of the kernel are the host's, but for those of the network, which has a namespace.
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
if [ -e proc/sysrq-trigger ]; then
	mount --bind proc/sysrq-trigger proc/sysrq-trigger
	mount -o remount,bind,ro proc/sysrq-trigger
fi
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup

mount -t tmpfs -o mode=755,nosuid dev dev # never the host's devtmpfs, which there is once only
for d in null zero full random urandom tty; do
	: >"dev/$d"
	mount --bind "/dev/$d" "dev/$d"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5,nosuid,noexec devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=755,nosuid,nodev run run
mount -t tmpfs -o mode=1777,nosuid,nodev tmp tmp
mkdir -m 1777 run/lock
ip link set lo up

echo "$2" >etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$2" >etc/hosts
tr -d - <proc/sys/kernel/random/uuid >etc/machine-id

mkdir .host
pivot_root . .host
# shellcheck disable=SC2016 # expanded by the shell inside
exec chroot . /bin/sh -c '
	umount -l /.host
	rmdir /.host
	echo "ready $1"
	read -r order
	[ "$order" = boot ]
	exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin setpriv --bounding-set="$2" /sbin/init </dev/null >/dev/null 2>&1
' sh "$pid" "$4"
