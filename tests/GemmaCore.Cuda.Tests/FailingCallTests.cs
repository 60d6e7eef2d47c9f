using GemmaCore.Checkpoints;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Testing;
using GemmaCore.Training;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Cuda.Tests;

/// <summary>
/// The simulator lets the k-th driver call of a piece of work fail, for every k. Whatever the call was, the work ends with one CudaException of one line,
/// gives back all memory of the card, and leaves no half-written file; and afterwards the same work succeeds.
/// </summary>
public sealed class FailingCallTests : IDisposable
{
    private const int InvalidValue = 1, OutOfMemory = 2, LaunchFailed = 719;

    private readonly SmallModel _files = new();
    private readonly string _output = Path.Combine(Path.GetTempPath(), "gemmacore-failing-" + Guid.NewGuid().ToString("N"));

    [Theory]
    [InlineData("gtx1650/round_robin", OutOfMemory)]
    [InlineData("h200/random", InvalidValue)]
    [InlineData("t4/priority", LaunchFailed)]
    public void Loading_a_model_and_saving_an_adapter_survive_every_failing_call(string card, int code) => FailEveryCall(card, code, device =>
    {
        using LanguageModel model = ModelFolder.Load(_files.Folder, device);
        using LoraAdapter adapter = Adapter(model);
        using var optimizer = new AdamW(adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0);
        using KvCache cache = model.CreateCache(9);
        var run = new RunFolder(_output);
        var state = new RunState { Step = 1, MaxSteps = 2 };
        run.Save(state, adapter, optimizer, NameGeneration.Second, TrainerStateFile.Format(state, 1, 1, 1, 1), 0);
        run.Restore(run.Checkpoints[0].Folder, adapter, optimizer);
    });

    public void Dispose()
    {
        _files.Dispose();
        if (Directory.Exists(_output)) Directory.Delete(_output, recursive: true);
    }

    private static LoraAdapter Adapter(LanguageModel model) => LoraAdapter.Create(
        model, AdapterConfig.Parse("""{"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"]}"""u8.ToArray(), "adapter_config.json"), seed: 5);

    private void FailEveryCall(string card, int code, Action<CudaDevice> work)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("only the simulator fails when told to");
        TestDevices.Discard(card);
        bool sticky = code >= 700;
        CudaDevice device = TestDevices.OpenCard(card);
        try
        {
            Do(device, work); // compiles, and lets memory grow that the device keeps
            long before = Simulator.CallCount;
            Do(device, work);
            long calls = Simulator.CallCount - before;
            int kept = LiveAllocations(device), failures = 0;
            for (long k = 1; k <= calls; k++)
            {
                Simulator.FailCall(k, code);
                Exception? error = Record.Exception(() => Do(device, work));
                Simulator.FailCall(0, 0);
                string call = Simulator.LastReport.Split(':')[0];
                // What cannot be given back is nobody's error; the memory is the context's until it goes.
                bool freeing = call.StartsWith("cuMemFree", StringComparison.Ordinal);
                if (error is null)
                {
                    Assert.True(freeing, $"call {k} of {calls}, {call}: the failure went unnoticed");
                    kept += sticky ? 0 : 1;
                }
                else
                {
                    failures++;
                    var report = Assert.IsAssignableFrom<CudaException>(error);
                    Assert.Equal(code, report.Code);
                    Assert.DoesNotContain('\n', report.Message);
                }

                Assert.False(Directory.Exists(_output) && Directory.EnumerateDirectories(_output, "*.partial").Any(), $"call {k}, {call}: half a checkpoint is left");
                if (sticky)
                {
                    device = Reopen(device, card);
                    continue;
                }

                int left = LiveAllocations(device);
                Assert.True(kept == left, $"call {k} of {calls}, {call}: {left} allocations are left, expected {kept}");
            }

            Assert.InRange(failures, calls / 2, calls);
            Do(device, work);
        }
        finally
        {
            Simulator.FailCall(0, 0);
            device.Dispose();
            Simulator.Revive(device.Card.Ordinal);
        }
    }

    private void Do(CudaDevice device, Action<CudaDevice> work)
    {
        if (Directory.Exists(_output)) Directory.Delete(_output, recursive: true);
        work(device);
    }

    // Memory is given back in the order of the stream.
    private static int LiveAllocations(CudaDevice device)
    {
        device.Synchronize();
        return Simulator.DeviceAllocations(device.Card.Ordinal);
    }

    // As a new process would find the card.
    private static CudaDevice Reopen(CudaDevice device, string card)
    {
        device.Dispose();
        Assert.True(Simulator.Revive(device.Card.Ordinal));
        Assert.Equal((0, 0), (Simulator.PinnedAllocations, Simulator.LiveHandles));
        return TestDevices.OpenCard(card);
    }
}
