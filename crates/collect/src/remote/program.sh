# What a node runs: it answers questions about itself, one a line, until its input ends.
#
#   NONCE LANE SECONDS WORD...
#
# For: any POSIX shell (dash, bash, busybox ash, ksh) with head, sleep, stat, ls and grep. An answer
# is made of sections, each behind a line "\036NONCE SECTION", and ends with "\036NONCE end".
# What must hold: it writes no file, not even a here-document; it runs nothing that it read, and
# nothing but what stands here; whatever can hang has SECONDS, is killed then and waited for by
# nobody; all of it ends with its input, and 15 minutes after its start even if its input does not.
#
# @NAME@ is filled in by what packs it; lines beginning with # are left out.

export LC_ALL=C PATH="$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/wsl/lib:/run/nvidia/driver/usr/bin"
unset -v p ENV BASH_ENV CDPATH GREP_OPTIONS
exec 3<&0 </dev/null 2>/dev/null
cd @ROOT@ || exit 1

# Begins a section.
say() {
printf '\036%s %s\n' "$n" "$*"
}

# Seconds since the machine started; 0 where nobody knows.
clock() {
c=0
[ -r proc/uptime ] && IFS=' .' read -r c c2 <proc/uptime
}

@LIMITED@

# A group of the host lane, unless an earlier one was late: one hang costs one wait.
group() {
if [ -n "$late" ]; then
say skipped "$1"
return
fi
"ask_$1" "$@" || if [ $? = 124 ]; then
late=1
say late "$1"
fi
}

# The starts of files, each behind a line "==> PATH <==", errors in between. The first of them is
# never alone, so that there is such a line.
heads() {
[ $# -gt 1 ] || return 0
say files
bytes=$1
shift
limited "$l" head -c "$bytes" /dev/null "$@"
[ $? != 124 ] || return 124
}

# What the kernel answers from memory: one process, at every poll. Which files there are is found
# out once; a file that may not be read is told each time, because it is not absent.
ask_fast() {
if [ -z "$F" ]; then
E=
for f in @FAST@ sys/devices/system/edac/mc/mc[0-9]*/ce_count sys/devices/system/edac/mc/mc[0-9]*/ue_count; do
if [ -r "$f" ]; then
F="$F $f"
elif [ -e "$f" ]; then
E="$E $f"
fi
done
fi
[ -d sys/block ] && say directory sys/block
[ -n "$E" ] && say denied "$E"
set -- sys/block/*
if [ "$*" != "$B" ]; then
B=$*
ask_disks
fi
say files
head -c 1048576 /dev/null $F 3<&-
return 0
}

# What the disks are: told when there is another one.
ask_disks() {
set --
for d in sys/block/*; do
for f in size hidden queue/rotational dm/uuid dm/name device/model; do
[ -r "$d/$f" ] && set -- "$@" "$d/$f"
done
done
heads 4096 "$@"
}

# What does not change while the machine runs.
ask_lasting() {
set --
for f in @LASTING@; do
[ -r "$f" ] && set -- "$@" "$f"
done
heads 16384 "$@"
[ -r proc/sys/kernel/arch ] || { say content proc/sys/kernel/arch; uname -m; }
[ -r proc/stat ] || { say system; uname -s; }
ask_hardware
}

# Which GPUs the bus has and whose driver is there, without a process.
ask_hardware() {
say values
for f in .dockerenv run/.containerenv run/systemd/container sys/hypervisor/type proc/driver/nvidia/version dev/nvidiactl dev/nvidia[0-9]*; do
[ -e "$f" ] && printf '%s there\n' "$f"
done
if [ -r proc/1/cgroup ]; then
c=
while read -r v; do
c="$c,$v"
done <proc/1/cgroup
printf '%s %s\n' proc/1/cgroup "$c"
fi
for d in sys/bus/pci/devices/*; do
[ -r "$d/class" ] && read -r c <"$d/class" || continue
case $c in
0x03* | 0x12*) ;;
*) continue ;;
esac
[ -r "$d/vendor" ] && read -r v <"$d/vendor" || continue
printf '%s %s\n' "$d/class" "$c" "$d/vendor" "$v"
[ -e "sys/bus/pci/drivers/vfio-pci/${d##*/}" ] && printf '%s -> vfio-pci\n' "$d/driver"
done
return 0
}

# Reads mountinfo and keeps the mounts that can be asked: the mount points of local ones in "$M", of
# remote ones in "$N", both as the kernel escapes them. Of several at one place the last counts.
mounts() {
all=' '
while read -r c c dev root point c rest; do
kind=${rest#*- }
kind=${kind%% *}
case $kind in
tmpfs) case $point in @TMPFS@) ;; *) kind=none ;; esac ;;
overlay | aufs | rootfs) [ "$point" = / ] || kind=none ;;
@PSEUDO@) kind=none ;;
*) case $point in @SKIPPED@) kind=none ;; esac ;;
esac
case $kind in
none) case $all in *" $point "*) all="$all$point none " ;; esac ;;
@REMOTE@) all="$all$point $dev " ;;
*) all="$all$point local " ;;
esac
done
M= N=
set -f
set -- $all
set +f
while [ $# -gt 1 ]; do
point=$1
shift 2
case $M$N in *" $point "*) continue ;; esac
kind=${all##*" $point "}
kind=${kind%% *}
case $kind in
none) ;;
local) M="$M $point " ;;
*) N="$N $point $kind" ;;
esac
done
}

# Of mountinfo, what may be a filesystem of its own, so that few lines are read one by one.
candidates() {
grep -v -E '^([^ ]+ ){4}(@SKIPPED_PATTERN@)| - (@PSEUDO_PATTERN@) ' proc/self/mountinfo 3<&-
}

# The real name of a mount point.
unescape() {
case $1 in
*\\*) u=$(printf '%b' "$(printf '%s' "$1" | sed 's/\\/\\0/g')") ;;
*) u=$1 ;;
esac
}

# Local filesystems: one process for all. They are told apart in the process behind the pipe.
ask_space() {
heads 4194305 proc/self/mountinfo || return
say space
candidates | (
mounts
set -f
i=0
for point in $M; do
i=$((i + 1))
[ "$i" = 1 ] && set --
[ "$i" -gt @FILESYSTEMS@ ] && break
unescape "$point"
set -- "$@" "$u"
done
[ "$i" = 0 ] || limited "$l" stat -f -c '%S %b %f %a %c %d %n' -- "$@"
)
}

ask_links() {
[ -d sys/class/net ] && say directory sys/class/net
say values
set --
for d in sys/class/net/*; do
[ -d "$d" ] || continue
case ${d##*/} in lo | @PASSING@) continue ;; esac
[ $# -gt 2048 ] && break
for f in flags carrier speed operstate; do
[ -r "$d/$f" ] && set -- "$@" "$d/$f"
done
[ -e "$d/device" ] && printf '%s there\n' "$d/device"
done
heads 4194305 "$@" proc/net/route proc/net/ipv6_route
}

# The ports of InfiniBand and RoCE adapters.
ask_infiniband() {
[ -d sys/class/infiniband ] || return 0
say directory sys/class/infiniband
set --
for d in sys/class/infiniband/*; do
[ -e "$d/device/physfn" ] && continue
[ -r "$d/board_id" ] && set -- "$@" "$d/board_id"
for d in "$d"/ports/*; do
[ $# -gt 4096 ] && break
for f in @PORT@; do
[ -r "$d/$f" ] && set -- "$@" "$d/$f"
done
done
done
heads 4096 "$@"
}

# Links of network adapters and NVMe disks, and errors of these and of GPUs.
ask_pcie() {
[ -d sys/bus/pci/devices ] || return 0
say directory sys/bus/pci/devices
set --
for d in sys/bus/pci/devices/*; do
c=
{ read -r c <"$d/class"; } 2>/dev/null
case $c in
@PCI_LINKED@) c="@PCI_DEVICE@ @PCI_LINK@" ;;
@PCI_OTHERS@) c="@PCI_DEVICE@" ;;
*) continue ;;
esac
[ -e "$d/physfn" ] && continue
[ $# -gt 2560 ] && break
for f in $c; do
[ -r "$d/$f" ] && set -- "$@" "$d/$f"
done
done
heads 4096 "$@"
}

ask_sensors() {
set --
i=0
for f in sys/class/hwmon/hwmon*/name sys/class/hwmon/hwmon*/temp*_input sys/class/hwmon/hwmon*/temp*_label sys/class/hwmon/hwmon*/temp*_crit sys/class/thermal/thermal_zone*/temp sys/class/thermal/thermal_zone*/type; do
[ -e "$f" ] || continue
i=$((i + 1))
[ "$i" -gt 4096 ] && break
set -- "$@" "$f"
done
[ $# = 0 ] && return
heads 4096 "$@" || return
links sys/class/hwmon/hwmon[0-9]*/device
}

# Where links lead, as ls tells it.
links() {
[ -h "$1" ] || return 0
say links
limited "$l" ls -ld "$@"
[ $? != 124 ] || return 124
}

# The process table: two processes, be there ever so many.
ask_processes() {
table stat 2048 || return
table cmdline 4096
}

# One file of all processes. Processes end while they are read; that is no error.
table() {
quiet=1
tables "$@"
set -- $?
quiet=
return "$1"
}

tables() {
set -- "$1" "$2" proc/[0-9]*/"$1"
say table "$1"
if [ $# -lt 20000 ]; then
what=$2
shift 2
limited "$l" head -c "$what" /dev/null "$@"
[ $? != 124 ] || return 124
return 0
fi
for d in 1 2 3 4 5 6 7 8 9; do
limited "$l" head -c "$2" /dev/null proc/$d*/"$1"
[ $? != 124 ] || return 124
done
}

# What the kernel says of single processes, by their numbers.
ask_pids() {
shift
set -- "$1"
IFS=,
for f in $1; do
set -- "$@" "proc/$f/stat"
done
IFS=$O
shift
heads 2048 "$@"
}

# Lines of the kernel's log that may be faults: of its own facility, for anybody may write others.
# util-linux is asked for that, because its -r tells the level alone; what does not know -f (busybox)
# tells both. The words are those of the fault catalogue.
ask_kernel() {
say content dev/kmsg
quiet=1
kernel_lines dmesg -r -f kern
r=$?
if [ "$r" = 3 ]; then
kernel_lines dmesg -r
r=$?
fi
if [ "$r" = 3 ]; then
kernel_lines journalctl -q --no-pager -b -n 20000 -o short-monotonic _TRANSPORT=kernel SYSLOG_FACILITY=0
r=$?
[ "$r" != 3 ] || printf '!denied\n'
fi
quiet=
[ "$r" != 124 ]
}

# Runs what prints the log, and passes on the newest lines that hold one of the words: 3 where it
# was refused, which the end of the lines tells, because a pipe tells the last program's end.
kernel_lines() {
set -- "$(
{
limited "$l" "$@"
printf '!ended %s\n' "$?"
} | grep -F -e '!ended ' @FAULTS@ | tail -n 500
)"
printf '%s\n' "$1" | grep -v '^!ended ' | tail -c 131072
case $1 in
*'!ended 0') return 0 ;;
*'!ended 124') return 124 ;;
esac
return 3
}

# AMD's cards. One that sleeps is not woken.
ask_amd() {
ask_hardware
set --
for d in sys/class/drm/card[0-9]*; do
case ${d#sys/class/drm/card} in *[!0-9]*) continue ;; esac
d=$d/device
[ -r "$d/vendor" ] && read -r v <"$d/vendor" && [ "$v" = 0x1002 ] || continue
set -- "$@" "$d"
done
[ $# = 0 ] && return
cards=$*
set -- sys/module/amdgpu/version
for d in $cards; do
set -- "$@" "$d/vendor" "$d/uevent"
for f in @AMD@; do
[ -e "$d/$f" ] && set -- "$@" "$d/$f"
done
v=
[ -r "$d/power/runtime_status" ] && read -r v <"$d/power/runtime_status"
[ "$v" = suspended ] && continue
for f in @AMD_AWAKE@; do
for f in "$d"/$f; do
[ -e "$f" ] && set -- "$@" "$f"
done
done
done
heads 4096 "$@" || return
links $cards
}

# The hardware beside it tells what a missing answer means.
ask_nvidia() {
ask_hardware
if ! command -v nvidia-smi >/dev/null; then
say absent
return
fi
case $1 in
help) smi help --help-query-gpu ;;
*)
smi query "--query-gpu=$1" $format || return
smi apps "--query-compute-apps=@APPS@" $format || return
shift
for more in "$@"; do
case $more in
rows) smi rows "--query-remapped-rows=@ROWS@" $format || return ;;
details) smi details @DETAILS@ || return ;;
esac
done
;;
esac
}

# Asks it, and says how it ended.
smi() {
say "$1"
what=$1
shift
limited "$l" nvidia-smi "$@"
r=$?
say status "$what $r"
[ "$r" != 124 ]
}

# Filesystems over a network, all at once, each with its own deadline.
ask_mounts() {
heads 4194305 proc/self/mountinfo
say space
candidates | (
mounts
set -f
set -- $N
i=0
while [ $# -gt 1 ]; do
point=$1
case ,$skip, in *",$2,"*) point= ;; esac
shift 2
[ -z "$point" ] && continue
i=$((i + 1))
[ "$i" -gt @REMOTE_MOUNTS@ ] && break
unescape "$point"
(
limited "$l" stat -f -c '%S %b %f %a %c %d %n' -- "$u"
[ $? = 124 ] && printf 'late %s\n' "$point"
) &
done
wait
)
}

ask_torch() {
y=$1
if [ "$y" = - ]; then
y=
[ -n "$VIRTUAL_ENV" ] && [ -x "$VIRTUAL_ENV/bin/python" ] && y=$VIRTUAL_ENV/bin/python
[ -n "$y" ] || y=$(command -v python3)
fi
say interpreter "$y"
[ -n "$y" ] || return
say torch
export PYTHONDONTWRITEBYTECODE=1
limited "$l" "$y" -c "$(printf '%b' '@TORCH@')"
say status "torch $?"
}

# One question.
answer() {
late=
case $lane in
host)
if [ -z "$L" ]; then
L=1
group lasting
fi
for g in $words; do
case $g in
fast) ask_fast ;;
pids=*) ask_pids "$g" "${g#pids=}" ;;
lasting | space | links | infiniband | pcie | sensors | processes | amd | kernel) group "$g" ;;
esac
done
;;
nvidia) ask_nvidia $words ;;
mounts)
skip=$words
ask_mounts
;;
torch) ask_torch "$words" ;;
esac
say end
}

# Questions until the input ends, or it is time to begin anew: that is between two questions, so
# that no answer is cut.
questions() {
clock
began=$c
while
clock
age=$((c - began))
[ "$age" -lt @RENEW@ ]
do
if [ -n "$T" ]; then
read -r $T $((@LIFE@ - age)) n lane l words <&3 || return
else
read -r n lane l words <&3 || return
fi
answer
[ "$lane" = torch ] && return
done
}

format=--format=csv,noheader,nounits
O=$IFS F= E= B= L= T= G= quiet=
# Shells that can read with a limit need nobody to end them.
if echo | (read -r -t 1 c); then
T=-t
questions
exit
fi
sleep @LIFE@ 3<&- >/dev/null &
Z=$!
(
trap 'kill -9 "$Z"; exit' HUP PIPE TERM
questions
kill -9 "$Z"
) &
m=$!
trap 'kill -9 "$Z" "$m"; exit' HUP TERM
exec 3<&-
wait "$Z"
[ $? -gt 128 ] || kill "$m"
