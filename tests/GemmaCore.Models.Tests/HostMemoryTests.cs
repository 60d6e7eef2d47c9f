using System.Text.Json.Nodes;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>What a card's host needs to quantise a model while it is loaded: one matrix, not the model.</summary>
[Collection(nameof(HostMemory))]
public sealed class HostMemoryTests : IDisposable
{
    private const int Layers = 6;

    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-").FullName;

    [Theory]
    [InlineData(WeightFormat.Nf4)]
    [InlineData(WeightFormat.Int8)]
    [InlineData(WeightFormat.Int8Group)]
    public void Quantising_keeps_one_matrix_on_the_host(WeightFormat format)
    {
        JsonObject config = ModelPreset.Find("mini")!.Config.DeepClone().AsObject();
        (config["vocab_size"], config["max_position_embeddings"], config["num_hidden_layers"]) = (64, 512, Layers);
        RandomCheckpoint.Write(new ModelPreset("narrow", config), _folder, seed: 1, DType.BF16);
        using Device card = TestDevices.OpenCard("t4/idle");
        // Kernels and what else a program makes once.
        ModelFolder.Load(_folder, card, format).Dispose();
        long before = LiveBytes(), most = 0;
        using var loaded = new ManualResetEventSlim();
        var observer = new Thread(() =>
        {
            do most = Math.Max(most, LiveBytes());
            while (!loaded.Wait(1));
        });
        observer.Start();
        long codes, largest;
        using (LanguageModel model = ModelFolder.Load(_folder, card, format))
        {
            loaded.Set();
            observer.Join();
            codes = model.Linears.Sum(layer => layer.Weight.ByteCount);
            largest = model.Linears.Max(layer => layer.Weight.ByteCount);
        }

        // Codes and magnitudes of one matrix, what is rounded at the moment, and what the program keeps of a model (names, headers).
        long allowed = 2 * largest + (2 << 20);
        Assert.True(codes > 4 * allowed, $"{codes} bytes of codes are too few beside {allowed} to tell one matrix from the model");
        Assert.InRange(most - before, 0, allowed);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static long LiveBytes()
    {
        GC.Collect();
        // As that collection found it: what was allocated since is mostly garbage.
        GCMemoryInfo found = GC.GetGCMemoryInfo(GCKind.FullBlocking);
        return found.HeapSizeBytes - found.FragmentedBytes + CpuDevice.Host.AllocatedBytes;
    }
}

/// <summary>Tests that look at the process's memory, which others would disturb.</summary>
[CollectionDefinition(nameof(HostMemory), DisableParallelization = true)]
public sealed class HostMemory;
