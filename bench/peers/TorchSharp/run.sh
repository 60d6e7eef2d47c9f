#!/usr/bin/env bash
# Builds and runs the peer. LibTorchSharp asks for one symbol of GCC 13's libstdc++ (std::ios_base_library_init, which sets up the standard streams); where the system's library
# is older, the demand is made optional in the built copy and a two-line library gives the symbol. Arguments: those of Program.cs.
set -euo pipefail
cd "$(dirname "$0")"
dotnet build -c Release -v q -clp:ErrorsOnly
out=bin/Release/net10.0/linux-x64
library=$out/libLibTorchSharp.so
if ! grep -qa GLIBCXX_3.4.32 "$(g++ -print-file-name=libstdc++.so.6)"; then
    printf '#include <ios>\nnamespace std { void ios_base_library_init() { static ios_base::Init streams; } }\n' | g++ -shared -fPIC -O1 -x c++ - -o $out/libstreams.so
    # An entry of .gnu.version_r is hash, flags, index: flag 2 means that the version may be absent.
    perl -0777 -pi -e 's/\x42\xf8\x97\x02\x00\x00/\x42\xf8\x97\x02\x02\x00/' $library
    export LD_PRELOAD=$PWD/$out/libstreams.so
fi
exec dotnet $out/TorchSharpPeer.dll "$@"
