#!/bin/bash
# Start a Slurm cluster of this machine alone in FOLDER, run COMMAND in it, stop it.   one_node_slurm.sh FOLDER COMMAND...
# Needs root and Debian's slurmctld, slurmd and munge. The namespaces hide it: /etc/slurm stays as it is, and no daemon
# outlives the command.
set -euo pipefail
if [ "${IN_NAMESPACE:-}" != 1 ]; then
  IN_NAMESPACE=1 exec unshare --mount --pid --fork --kill-child --mount-proc "$0" "$@"
fi
unset IN_NAMESPACE
folder=$1; shift
host=$(hostname -s)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir -p "$folder"/etc "$folder"/state "$folder"/spool "$folder"/munge
head -c 1024 /dev/urandom > "$folder/munge.key"; chmod 600 "$folder/munge.key"
cat > "$folder/etc/slurm.conf" <<C
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthInfo=socket=$folder/munge/socket
SlurmUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 * 9 / 10))
PartitionName=main Nodes=$host Default=YES State=UP
C
mkdir -p /etc/slurm
mount --bind "$folder/etc" /etc/slurm
munged --force --key-file="$folder/munge.key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
  --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" 2> /dev/null
slurmctld
slurmd
for _ in $(seq 50); do sinfo --noheader --states=idle 2> /dev/null | grep -q idle && break; sleep 0.2; done
"$@"
