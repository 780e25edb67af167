#!/bin/sh
# Fuzzes every family of readers of foreign bytes for SECONDS each (default 10), starting from recorded
# machines and from seeds/.
#
#   fuzz/run.sh [SECONDS] [FAMILY...]
#
# Works with stable Rust: no sanitizer is needed, because the readers hold no unsafe code; panics,
# overflows (debug assertions are on), hangs and memory beyond the limit are found without one.
# Needs cargo-fuzz (`cargo install cargo-fuzz --locked`) and a C++ compiler.
set -eu
cd "$(dirname "$0")"

seconds=${1:-10}
[ $# -gt 0 ] && shift
families=${*:-cpu memory mounts disks network host processes amd nvidia-smi echo answers remote kernel-log diagnose calendar ical blocks requests states config rules ssh_config known_hosts}

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz/run.sh: cargo-fuzz is missing; install it with: cargo install cargo-fuzz --locked" >&2
    exit 1
fi
export RUSTC_BOOTSTRAP=1
cargo fuzz build --fuzz-dir . --sanitizer none

# The binary that holds a family.
binary_of() {
    case $1 in
        blocks | requests | states | config | rules | ssh_config | known_hosts) echo hub ;;
        *) echo parsers ;;
    esac
}

# The longest input in bytes: whole files of /proc; elsewhere size shows nothing new and costs time.
longest_of() {
    case $1-$(binary_of "$1") in
        *-hub | calendar-* | ical-*) echo 8192 ;;
        *) echo 65536 ;;
    esac
}

# The recorded files that a family starts from, as find patterns below fixtures, or its own seeds.
seeds_of() {
    case $1 in
        cpu) echo '*/proc/stat */proc/loadavg */proc/cpuinfo' ;;
        memory) echo '*/proc/meminfo */proc/vmstat */proc/pressure/*' ;;
        mounts) echo '*/self/mountinfo' ;;
        disks) echo '*/proc/diskstats' ;;
        network) echo '*/proc/net/*' ;;
        host) echo '*/fs/file-nr */proc/uptime */boot_id */os-release */temp1_input */flags */ce_count */ports/1/state */ports/1/rate */current_link_speed */aer_dev_correctable' ;;
        processes) echo '*/proc/[0-9]*/*' ;;
        amd) echo '*/amd/*/pp_dpm_* */amd/*_link_* */amd/*_err_count */amd/*_input */amd/*_total' ;;
        nvidia-smi) echo '*/nvidia-smi/*/gpus.txt */nvidia-smi/*/apps.txt */nvidia-smi/*/help.txt' ;;
        kernel-log) echo '*/dev/kmsg */seeds/kernel-log/*' ;;
        ical) echo '*/ical/*.ics' ;;
        calendar | diagnose | echo | answers | remote | blocks | requests | states | config | rules | ssh_config | known_hosts)
            echo "*/seeds/$1/*" ;;
        *) echo "fuzz/run.sh: there is no family $1" >&2; exit 1 ;;
    esac
}

set -f
for family in $families; do
    patterns=$(seeds_of "$family")
    mkdir -p "corpus/$family"
    for pattern in $patterns; do
        find ../fixtures ../fuzz/seeds -type f -path "$pattern" -size -64k | while read -r file; do
            name=$(printf '%s' "$file" | sed 's|^\.\./||; s|/|_|g')
            cp "$file" "corpus/$family/seed_$name"
        done
    done
    echo "fuzz/run.sh: $family for $seconds s"
    SICKBAY_FUZZ_FAMILY=$family cargo fuzz run --fuzz-dir . --sanitizer none "$(binary_of "$family")" "corpus/$family" -- \
        -max_total_time="$seconds" -max_len="$(longest_of "$family")" -timeout=5 -rss_limit_mb=512 -print_final_stats=1 -verbosity=0
done
echo "fuzz/run.sh: nothing found"
