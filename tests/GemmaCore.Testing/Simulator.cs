using System.Runtime.InteropServices;
using System.Text;

namespace GemmaCore.Testing;

/// <summary>What the CUDA simulator says of itself and the failures it can be told to produce (tests/cudasim/src/simulator_api.cpp).</summary>
public static unsafe class Simulator
{
    private static readonly Lazy<nint> Library = new(() => NativeLibrary.Load(Environment.GetEnvironmentVariable("GEMMACORE_CUDA_LIBRARY")!));

    /// <summary>Driver calls of this process so far, without those that only read constants.</summary>
    public static long CallCount => ((delegate* unmanaged<long>)Find("cudasim_call_count"))();

    /// <summary>Live streams, events, modules and graphs of this process.</summary>
    public static int LiveHandles => ((delegate* unmanaged<int>)Find("cudasim_live_handles"))();

    /// <summary>Live page-locked allocations of this process.</summary>
    public static int PinnedAllocations => ((delegate* unmanaged<int>)Find("cudasim_pinned_allocations"))();

    /// <summary>The last defect that was reported.</summary>
    public static string LastReport
    {
        get
        {
            var report = (delegate* unmanaged<byte*, int, int>)Find("cudasim_last_report");
            byte* text = stackalloc byte[4096];
            return Encoding.UTF8.GetString(text, Math.Min(4095, report(text, 4096)));
        }
    }

    /// <summary>Live allocations of a card.</summary>
    public static int DeviceAllocations(int ordinal) => ((delegate* unmanaged<int, int>)Find("cudasim_device_allocations"))(ordinal);

    /// <summary>Bytes of the live allocations of a card.</summary>
    public static long DeviceBytes(int ordinal) => ((delegate* unmanaged<int, long>)Find("cudasim_device_bytes"))(ordinal);

    /// <summary>Most bytes that were live at once on a card.</summary>
    public static long MostDeviceBytes(int ordinal) => ((delegate* unmanaged<int, long>)Find("cudasim_most_device_bytes"))(ordinal);

    /// <summary>Kernels that were launched on a card.</summary>
    public static long LaunchCount(int ordinal) => ((delegate* unmanaged<int, long>)Find("cudasim_launch_count"))(ordinal);

    /// <summary>
    /// Executes the next launches of a card and none behind them, which take memory and change nothing; a negative count executes all again. Memory allocated meanwhile
    /// holds zeros instead of NaN.
    /// </summary>
    public static void ExecuteLaunches(int ordinal, long count)
    {
        if (((delegate* unmanaged<int, long, int>)Find("cudasim_execute_launches"))(ordinal, count) == 0) throw new ArgumentException($"card {ordinal} is not open", nameof(ordinal));
    }

    /// <summary>The k-th driver call from now answers with a CUresult; 0 takes a planted failure back.</summary>
    public static void FailCall(long k, int code) => ((delegate* unmanaged<long, int, void>)Find("cudasim_fail_call"))(k, code);

    /// <summary>Gives a lost card back whose context has been released.</summary>
    public static bool Revive(int ordinal) => ((delegate* unmanaged<int, int>)Find("cudasim_revive"))(ordinal) != 0;

    private static nint Find(string name) => NativeLibrary.GetExport(Library.Value, name);
}
