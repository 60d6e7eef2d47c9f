using GemmaCore.Cuda;

namespace GemmaCore.Testing;

/// <summary>
/// Repeats a piece of work on a simulated card while its k-th driver call fails, for one k after the other. Whatever the call was, the work must end with one
/// CudaException of one line with that code, give back all memory of the card, and succeed when it is done again.
/// </summary>
/// <remarks>Calls are counted for the whole process: tests that use this must not run beside others.</remarks>
public sealed class FailingCalls
{
    /// <summary>CUresult values: a refused call, no memory, and a fault that loses the context.</summary>
    public const int InvalidValue = 1, OutOfMemory = 2, LaunchFailed = 719;

    private const int FirstCodeThatLosesTheContext = 700;

    private readonly string _card;
    private readonly int _code;
    private readonly Action<CudaDevice> _work;
    private readonly Action<string> _check;
    private readonly int _othersPinned, _othersHandles; // what the cards of other tests hold
    private CudaDevice _device;
    private int _kept;

    private FailingCalls(string card, int code, Action<CudaDevice> work, Action<string> check)
    {
        TestDevices.Discard(card);
        TestDevices.OpenCard(card).Dispose(); // starts the simulator, if nobody has
        (_othersPinned, _othersHandles) = (Simulator.PinnedAllocations, Simulator.LiveHandles);
        (_card, _code, _work, _check) = (card, code, work, check);
        _device = TestDevices.OpenCard(card);
    }

    /// <summary>Does it; throws with the call's number and name when something is not as it must be.</summary>
    /// <param name="card">A name of <see cref="TestDevices"/>.</param>
    /// <param name="code">What the failing call answers.</param>
    /// <param name="most">Most calls to let fail; where there are more, they are spread evenly. <c>GEMMACORE_EVERY_CALL=1</c> takes all.</param>
    /// <param name="work">The work; disposes of what it makes.</param>
    /// <param name="check">Called after every failed run with the name of the call; looks for what it must not have left behind.</param>
    public static void Try(string card, int code, int most, Action<CudaDevice> work, Action<string> check)
    {
        if (TestDevices.UsesRealGpu) throw new InvalidOperationException("$XunitDynamicSkip$only the simulator fails when told to");
        var attempt = new FailingCalls(card, code, work, check);
        try
        {
            attempt.Run(Environment.GetEnvironmentVariable("GEMMACORE_EVERY_CALL") == "1" ? int.MaxValue : most);
        }
        finally
        {
            Simulator.FailCall(0, 0);
            attempt._device.Dispose();
            Simulator.Revive(attempt._device.Card.Ordinal);
        }
    }

    private void Run(int most)
    {
        // Twice: kernels are compiled, memory that the device keeps grows, repeated steps are captured.
        for (int i = 0; i < 2; i++) _work(_device);
        long before = Simulator.CallCount;
        _work(_device);
        long calls = Simulator.CallCount - before, tries = Math.Min(calls, most);
        _kept = LiveAllocations();
        int failures = 0;
        for (long i = 0; i < tries; i++)
            if (Fails(1 + i * (calls - 1) / Math.Max(1, tries - 1), calls)) failures++;
        if (failures < tries / 3) throw new InvalidOperationException($"of {tries} failing calls only {failures} failed the work");
        _work(_device);
    }

    // True when the work noticed.
    private bool Fails(long k, long calls)
    {
        Simulator.FailCall(k, _code);
        Exception? error = null;
        try
        {
            _work(_device);
        }
        catch (Exception caught)
        {
            error = caught;
        }

        Simulator.FailCall(0, 0);
        string call = Simulator.LastReport.Split(':')[0], where = $"{_card}: call {k} of {calls}, {call} answering {_code}";
        // What cannot be given back is nobody's error; the memory is the context's until that goes.
        bool freeing = call.StartsWith("cuMemFree", StringComparison.Ordinal) || call.Contains("Destroy", StringComparison.Ordinal);
        if (error is null && !freeing) throw new InvalidOperationException($"{where}: nobody noticed");
        if (error is not null && (error is not CudaException { } report || report.Code != _code || report.Message.Contains('\n', StringComparison.Ordinal)))
            throw new InvalidOperationException($"{where}: expected a CudaException of one line with this code, got {error}", error);
        _check(where);
        if (_code >= FirstCodeThatLosesTheContext) Reopen(where);
        else CheckMemory(where, error is null && call.StartsWith("cuMemFree", StringComparison.Ordinal) ? 1 : 0);
        return error is not null;
    }

    private void CheckMemory(string where, int lost)
    {
        int left = LiveAllocations();
        if (left != _kept + lost) throw new InvalidOperationException($"{where}: {left} allocations are left, expected {_kept + lost}");
        _kept = left;
    }

    // Memory is given back in the order of the stream.
    private int LiveAllocations()
    {
        _device.Synchronize();
        return Simulator.DeviceAllocations(_device.Card.Ordinal);
    }

    // As a new process would find the card.
    private void Reopen(string where)
    {
        _device.Dispose();
        if (!Simulator.Revive(_device.Card.Ordinal)) throw new InvalidOperationException($"{where}: the context was not released");
        (int pinned, int handles) = (Simulator.PinnedAllocations - _othersPinned, Simulator.LiveHandles - _othersHandles);
        if (pinned != 0 || handles != 0) throw new InvalidOperationException($"{where}: {pinned} pinned allocations and {handles} handles are left");
        _device = TestDevices.OpenCard(_card);
    }
}
