using System.Runtime.CompilerServices;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

internal static class SimulatedCards
{
    // Whole models would take minutes with every access checked.
    [ModuleInitializer]
    internal static void RunWithoutMemoryChecks() => TestDevices.ChecksMemory = false;
}
