using System.Text;
using GemmaCore.Checkpoints;
using GemmaCore.Models;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using GemmaCore.Training.RunFiles;

namespace GemmaCore.Training.Tests;

/// <summary>See <see cref="FailingCalls"/>; and no half-written checkpoint may be left.</summary>
[Collection(nameof(FailingCalls))]
public sealed class FailingCallTests : IDisposable
{
    private readonly SmallModel _files = new();
    private readonly string _output = Path.Combine(Path.GetTempPath(), "gemmacore-failing-" + Guid.NewGuid().ToString("N"));

    [Theory]
    [InlineData("gtx1650/round_robin", FailingCalls.OutOfMemory, WeightFormat.AsStored)]
    [InlineData("h200/random", FailingCalls.InvalidValue, WeightFormat.AsStored)]
    [InlineData("t4/priority", FailingCalls.LaunchFailed, WeightFormat.AsStored)]
    [InlineData("a100/priority", FailingCalls.OutOfMemory, WeightFormat.Nf4)]
    [InlineData("gtx1650/random", FailingCalls.LaunchFailed, WeightFormat.Int8)]
    public void Loading_and_saving_survive_every_failing_call(string card, int code, WeightFormat format) => FailingCalls.Try(
        card, code, most: 60, device =>
        {
            Forget();
            using LanguageModel model = Load(device, format);
            using LoraAdapter adapter = Adapter(model, format);
            using var optimizer = new AdamW(adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0, format != WeightFormat.AsStored);
            using KvCache cache = model.CreateCache(9);
            using var run = new RunFolder(_output);
            var state = new RunState { Step = 1, MaxSteps = 2 };
            run.Save(state, adapter, optimizer, NameGeneration.Second, TrainerStateFile.Format(state, 1, 1, 1, 1), 0);
            RunFolder.Restore(run.Checkpoints[0].Folder, adapter, optimizer);
        },
        NothingHalfWritten);

    [Theory]
    [InlineData("gtx1650/adversarial", FailingCalls.OutOfMemory, WeightFormat.AsStored)]
    [InlineData("a100/random", FailingCalls.InvalidValue, WeightFormat.AsStored)]
    [InlineData("t4/round_robin", FailingCalls.LaunchFailed, WeightFormat.AsStored)]
    [InlineData("gtx1650/priority", FailingCalls.OutOfMemory, WeightFormat.Nf4)]
    [InlineData("h200/adversarial", FailingCalls.LaunchFailed, WeightFormat.Int8)]
    public void Training_survives_every_failing_call(string card, int code, WeightFormat format) => FailingCalls.Try(
        card, code, most: 60, device =>
        {
            Forget();
            using LanguageModel model = Load(device, format);
            using LoraAdapter adapter = Adapter(model, format);
            using var trainer = new LoraTrainer(model, adapter, new AdamW(adapter.Parameters, 0.9f, 0.999f, 1e-8f, 0.1f, format != WeightFormat.AsStored), seed: 1);
            var row = new EncodedExample([2, 17, 9, 61, 5, 40], [false, false, true, true, true, true], [], []);
            trainer.Step([[row], [row]], 0.01f); // of one sample each: larger ones would be halved when memory is short, and nobody would notice
            trainer.Evaluate([[row]]);
            adapter.Save(_output);
        },
        NothingHalfWritten);

    public void Dispose()
    {
        _files.Dispose();
        Forget();
    }

    // With a quantised base the head is in 8 bits too, and the rank is one at which the optimiser's moments are.
    private LanguageModel Load(Device device, WeightFormat format) =>
        ModelFolder.Load(_files.Folder, device, format, format == WeightFormat.AsStored ? WeightFormat.AsStored : WeightFormat.Int8);

    private static LoraAdapter Adapter(LanguageModel model, WeightFormat format) => LoraAdapter.Create(
        model,
        AdapterConfig.Parse(
            Encoding.UTF8.GetBytes($$"""{"r": {{(format == WeightFormat.AsStored ? 2 : 128)}}, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"]}"""), "adapter_config.json"),
        seed: 5);

    // A checkpoint under its temporary name, or an adapter without its other half.
    private void NothingHalfWritten(string where)
    {
        if (!Directory.Exists(_output)) return;
        string[] files = Directory.GetFiles(_output, "*", SearchOption.AllDirectories);
        Assert.True(Directory.GetDirectories(_output, "*.partial").Length == 0, $"{where}: half a checkpoint is left");
        Assert.True(files.All(file => !file.EndsWith(".tmp", StringComparison.Ordinal)), $"{where}: left over: {string.Join(", ", files)}");
    }

    private void Forget()
    {
        if (Directory.Exists(_output)) Directory.Delete(_output, recursive: true);
    }
}

/// <summary>Alone: a planted failure meets the calls of the whole process.</summary>
[CollectionDefinition(nameof(FailingCalls), DisableParallelization = true)]
public sealed class FailingCallsAlone;
