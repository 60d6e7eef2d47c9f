using System.Reflection;
using System.Runtime.InteropServices;
using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Testing;

/// <summary>
/// The devices that tests run on: the CPU, and cards of the CUDA simulator (tests/cudasim), each under its own thread schedule. Names are
/// <c>cpu</c> or <c>profile/schedule</c>, e.g. <c>t4/random</c>; <c>t4/idle</c> is a card that takes memory and launches and executes none, for tests in which memory
/// alone counts. With <c>GEMMACORE_TEST_GPU=1</c> the same names stand for the real card, made to take the path of that tier (fp32, fp16, bf16) where it can.
/// </summary>
public static class TestDevices
{
    private static readonly string[] Profiles = ["gtx1650", "t4", "a100", "h200"];
    private static readonly string[] Schedules = ["round_robin", "random", "priority", "adversarial"];
    private const string Idle = "idle";
    private static readonly Dictionary<string, SemaphoreSlim> Turns = [];
    private static readonly Dictionary<string, CudaDevice> Open = [];
    private static readonly Lazy<string?> Simulator = new(StartSimulator);

    /// <summary>
    /// False for whole models: kernels then run without the simulator's race and bounds checks, many times faster; the operations' own tests have made
    /// these checks. Set before the first card is lent.
    /// </summary>
    public static bool ChecksMemory { get; set; } = true;

    /// <summary>The real card is there and asked for; the simulator is then not used, since one process has one driver.</summary>
    public static bool UsesRealGpu { get; } = Environment.GetEnvironmentVariable("GEMMACORE_TEST_GPU") == "1";

    /// <summary>The simulated cards, one per tier, under one schedule chosen by <paramref name="seed"/>.</summary>
    public static IEnumerable<string> Cards(int seed = 0) => Profiles.Select((profile, i) => $"{profile}/{Schedules[(seed + i) % Schedules.Length]}");

    /// <summary>Every case on the CPU and on a card of every tier; the schedules rotate, so that four cases see all of them on every card.</summary>
    public static IEnumerable<(string Device, T Case)> Spread<T>(IEnumerable<T> cases)
    {
        int index = 0;
        foreach (T item in cases)
        {
            yield return ("cpu", item);
            foreach (string card in Cards(index++)) yield return (card, item);
        }
    }

    /// <summary>A device for one test. Cards are shared by the process and lent to one test at a time.</summary>
    /// <param name="name">As above.</param>
    /// <param name="threadCount">Threads of the CPU device.</param>
    public static DeviceLease Lend(string name, int threadCount = 2)
    {
        if (name == "cpu") return new DeviceLease(new CpuDevice(threadCount), device => device.Dispose());
        RequireSimulator();
        SemaphoreSlim turn;
        lock (Turns)
        {
            if (!Turns.TryGetValue(name, out turn!)) Turns.Add(name, turn = new SemaphoreSlim(1));
        }

        turn.Wait();
        try
        {
            if (!Open.TryGetValue(name, out CudaDevice? device)) device = OpenCard(name);
            lock (Open) Open[name] = device;
            return new DeviceLease(device, _ =>
            {
                bool clean = device.Scratch.Position == default;
                device.Scratch.Reset();
                turn.Release();
                if (!clean) throw new InvalidOperationException($"{name}: an operation has not given its temporaries back");
            });
        }
        catch
        {
            turn.Release();
            throw;
        }
    }

    /// <summary>Forgets a card whose context was lost on purpose; the next test opens it anew.</summary>
    public static void Discard(string name)
    {
        lock (Open)
            if (Open.Remove(name, out CudaDevice? device)) device.Dispose();
    }

    /// <summary>A device opened apart from the shared ones, for example with a forced architecture; the caller disposes of it.</summary>
    public static CudaDevice OpenCard(string name, int architecture = 0, CudaPrecision? precision = null)
    {
        RequireSimulator();
        var cache = new KernelCache(Path.Combine(RepositoryRoot(), "build", "kernel-cache"));
        if (!UsesRealGpu)
        {
            CudaDevice card = CudaDevice.Open(Ordinal(name), architecture, precision, cache);
            if (name.EndsWith('/' + Idle)) Testing.Simulator.ExecuteLaunches(card.Card.Ordinal, 0);
            return card;
        }

        string profile = name.Split('/')[0];
        int tier = profile switch { "gtx1650" or "t4" => 75, "a100" => 80, _ => 0 };
        if (tier >= CudaCard.All()[0].Capability) tier = 0;
        return CudaDevice.Open(0, architecture != 0 ? architecture : tier, precision ?? (profile == "gtx1650" ? CudaPrecision.Float32 : null), cache);
    }

    // The message is the one by which xunit v3 knows a test that skips itself; a reference to xunit would bind the tools that use this project.
    private static void RequireSimulator()
    {
        if (!UsesRealGpu && Simulator.Value is { } reason) throw new InvalidOperationException("$XunitDynamicSkip$" + reason);
    }

    // A card that executes nothing is one of its own: a context is the process's, and tests of other classes run beside this one.
    private static int Ordinal(string name)
    {
        string[] parts = name.Split('/');
        if (parts[1] == Idle) return (Profiles.Length * Schedules.Length) + Array.IndexOf(Profiles, parts[0]);
        return Array.IndexOf(Profiles, parts[0]) * Schedules.Length + Array.IndexOf(Schedules, parts[1]);
    }

    // The simulator reads the C environment, which .NET's own does not reach. Returns why there is no simulator, or null.
    private static string? StartSimulator()
    {
        string library = Environment.GetEnvironmentVariable("GEMMACORE_CUDASIM") ?? Path.Combine(RepositoryRoot(), "build", "tests", "cudasim", "libcudasim.so");
        if (!File.Exists(library)) return "the CUDA simulator is not built (cmake -S . -B build && cmake --build build)";
        string cards = string.Join(',', Profiles.SelectMany(profile => Schedules.Select((schedule, i) => $"{profile}:{schedule}:{i + 1}")).Concat(Profiles));
        _ = SetEnvironment("GEMMACORE_CUDASIM_DEVICE", cards, 1);
        // A specialisation that the compile gate does not know is refused.
        _ = SetEnvironment("GEMMACORE_CUDASIM_LISTED", Path.Combine(RepositoryRoot(), "kernels", "specialisations.csv"), 1);
        if (!ChecksMemory) _ = SetEnvironment("GEMMACORE_CUDASIM_CHECKS", "off", 1);
        Environment.SetEnvironmentVariable("GEMMACORE_CUDA_LIBRARY", library);
        Environment.SetEnvironmentVariable("GEMMACORE_NVRTC_LIBRARY", library);
        return null;
    }

    internal static string RepositoryRoot()
    {
        string? folder = AppContext.BaseDirectory;
        while (folder is not null && !File.Exists(Path.Combine(folder, "GemmaCore.sln"))) folder = Path.GetDirectoryName(folder);
        return folder ?? throw new InvalidOperationException($"{Assembly.GetExecutingAssembly().Location} is not within the repository");
    }

#pragma warning disable SYSLIB1054 // source-generated marshalling is not worth a partial class in test code
    [DllImport("libc", EntryPoint = "setenv", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetEnvironment(string name, string value, int overwrite);
#pragma warning restore SYSLIB1054
}

/// <summary>A device lent to one test.</summary>
public sealed class DeviceLease(Device device, Action<Device> giveBack) : IDisposable
{
    public Device Device => device;

    public void Dispose() => giveBack(device);
}
