using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

/// <summary>The environment in which a <c>gemmacore</c> process sees cards of the CUDA simulator (tests/cudasim).</summary>
internal static class SimulatedCards
{
    /// <summary>The simulator; the test that asks is skipped where it is not built.</summary>
    public static string Library
    {
        get
        {
            string library = Environment.GetEnvironmentVariable("GEMMACORE_CUDASIM") ?? Goldens.RepositoryPath("build/tests/cudasim/libcudasim.so");
            if (!File.Exists(library)) Assert.Skip("the CUDA simulator is not built (cmake -S . -B build && cmake --build build)");
            return library;
        }
    }

    /// <summary>Variables for <c>env</c>; later ones win.</summary>
    public static string[] Environ(string cards, string cache, params string[] more) =>
        [
            $"GEMMACORE_CUDA_LIBRARY={Library}", $"GEMMACORE_NVRTC_LIBRARY={Library}", "GEMMACORE_CUDASIM_CHECKS=off", $"GEMMACORE_CUDASIM_DEVICE={cards}",
            $"GEMMACORE_KERNEL_CACHE={cache}", .. more,
        ];

    /// <summary>Starts the program in a folder on these cards.</summary>
    public static GemmacoreProcess Start(string folder, string[] variables, params string[] arguments) =>
        GemmacoreProcess.Launch(folder, "env", [.. variables, GemmacoreProcess.Host, "exec", GemmacoreProcess.Program, .. arguments]);

    /// <summary>Runs the program to its end in a folder on these cards.</summary>
    public static Finished Run(string folder, string[] variables, params string[] arguments)
    {
        using GemmacoreProcess process = Start(folder, variables, arguments);
        return process.WaitForEnd();
    }
}
