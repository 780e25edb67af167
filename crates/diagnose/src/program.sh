# What a diagnosis runs on a machine: fixed questions, one after the other, until the last one or
# until its input ends.
#
# An answer stands between a line "\036NONCE begin ID" and one "\036NONCE end HOW"; HOW is the exit
# status, or "late", "absent" or "skipped". What must hold: nothing runs but what stands here;
# whatever hangs has its seconds, is killed then with all it started, and waited for by nobody; when
# the input ends, all of it ends.

export LC_ALL=C PATH="$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin:/usr/lib/wsl/lib:/run/nvidia/driver/usr/bin:/opt/rocm/bin"
unset -v p ENV BASH_ENV CDPATH GREP_OPTIONS
exec 3<&0 </dev/null 2>/dev/null
cd / || exit 1
n=@NONCE@
late= j= quiet=

# Its own group of processes, where there is a command for that: else only the shell is killed.
S= G=
if command -v setsid >/dev/null; then
S=setsid G=-
fi

say() {
printf '\n\036%s %s\n' "$n" "$*" || exit 1
}

@LIMITED@

ask() {
say begin "$1"
case " $late " in *" $2 "*)
say end skipped
return
esac
if [ -n "$3" ] && ! command -v "$3" >/dev/null; then
say end absent
return
fi
limited "$4" $S /bin/sh -c "$5"
r=$?
if [ "$r" = 124 ]; then
late="$late $2"
r=late
fi
say end "$r"
}

(
read -r x <&3
kill "$$"
) >/dev/null &
w=$!
trap 'kill "$j"; kill -9 "$w" "$z"; exit' TERM HUP PIPE
exec 3<&-
@QUESTIONS@
say done
trap - TERM
kill -9 "$w"
