#!/bin/sh
# Tries `sickbay daemon` under a real systemd: in a virtual machine with Debian 12.
#
#   tests/systemd/run.sh BINARY
#
# Prints each step's ok or failed; ends with 0 if all are ok. Needs root and (Debian's names)
# qemu-system-x86, debootstrap, e2fsprogs, and a Debian mirror the first time: the guest is built
# once, takes 2.5 GB, and stays in SICKBAY_VM_DIR (/var/tmp/sickbay-systemd). Nothing is mounted,
# and nothing of this machine is reached from the guest, which has no network. Emulation is always
# possible and takes about 6 minutes; SICKBAY_VM_ACCEL=kvm is faster where nested machines work.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
binary=${1:?usage: tests/systemd/run.sh BINARY}
dir=${SICKBAY_VM_DIR:-/var/tmp/sickbay-systemd}
mirror=${SICKBAY_VM_MIRROR:-http://deb.debian.org/debian}
accel=${SICKBAY_VM_ACCEL:-tcg,thread=multi}
seconds=${SICKBAY_VM_SECONDS:-1200}

[ "$(id -u)" = 0 ] || { echo "This needs root, to build the guest." >&2; exit 1; }
for program in qemu-system-x86_64 debootstrap mke2fs; do
  command -v "$program" >/dev/null && continue
  echo "There is no $program (Debian: apt-get install qemu-system-x86 debootstrap e2fsprogs)." >&2
  exit 1
done

mkdir -p "$dir"
if [ ! -e "$dir/guest.ext4" ]; then
  echo "== Building the guest in $dir"
  rm -rf "$dir/root"
  debootstrap --variant=minbase \
    --include=systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,iproute2,procps,curl,jq,initramfs-tools,linux-image-amd64 \
    bookworm "$dir/root" "$mirror" >"$dir/debootstrap.log" ||
    { tail "$dir/debootstrap.log" >&2; exit 1; }
  echo guest >"$dir/root/etc/hostname"
  echo '/dev/vda / ext4 rw 0 1' >"$dir/root/etc/fstab"
  # The second disk is a tar file: the binary, and what to do with it.
  cat >"$dir/root/etc/systemd/system/try.service" <<'UNIT'
[Unit]
Description=Runs what is on the second disk
After=systemd-logind.service

[Service]
Type=exec
Environment=HOME=/root
ExecStart=/bin/sh -c 'mkdir -p /run/try && tar -xf /dev/vdb -C /run/try && exec bash /run/try/guest.sh'
StandardInput=null
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0

[Install]
WantedBy=multi-user.target
UNIT
  mkdir -p "$dir/root/etc/systemd/system/multi-user.target.wants"
  ln -sf ../try.service "$dir/root/etc/systemd/system/multi-user.target.wants/try.service"
  ln -sf /dev/null "$dir/root/etc/systemd/system/serial-getty@ttyS0.service"
  cp "$dir"/root/boot/vmlinuz-* "$dir/vmlinuz"
  cp "$dir"/root/boot/initrd.img-* "$dir/initrd"
  mke2fs -q -F -t ext4 -d "$dir/root" "$dir/guest.new" 1600M
  mv "$dir/guest.new" "$dir/guest.ext4"
  rm -rf "$dir/root"
fi

run=$(mktemp -d "$dir/run.XXXXXX")
trap 'rm -rf "$run"' EXIT
cp "$binary" "$run/sickbay"
cp "$here/guest.sh" "$run/guest.sh"
tar -cf "$run/disk" -C "$run" sickbay guest.sh
truncate -s %512 "$run/disk"

echo "== Booting it ($accel)"
case $accel in kvm*) cpu=host ;; *) cpu=max ;; esac
timeout "$seconds" qemu-system-x86_64 -accel "$accel" -cpu "$cpu" -m 2048 -smp 2 \
  -nographic -no-reboot -nic none \
  -kernel "$dir/vmlinuz" -initrd "$dir/initrd" \
  -append "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=no" \
  -drive "file=$dir/guest.ext4,format=raw,if=virtio,snapshot=on" \
  -drive "file=$run/disk,format=raw,if=virtio,readonly=on" \
  </dev/null | sed -u 's/\r//' | tee "$dir/console.log" | grep --line-buffered -E '^(==|ok|failed|    |[0-9]+ ok)' || true

if grep -qE '^[0-9]+ ok, 0 failed$' "$dir/console.log"; then exit 0; fi
grep -qE '^[0-9]+ ok' "$dir/console.log" ||
  echo "The guest did not come to its end in $seconds s." >&2
echo "All that it said is in $dir/console.log." >&2
exit 1
