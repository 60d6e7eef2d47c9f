using GemmaCore.Cuda;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

/// <summary>Tiles, splits and tables are functions of the shape and of the card's facts: no device is needed to check them.</summary>
public sealed class AttentionPlanTests
{
    // Largest dynamic shared memory of a block: kernels.md §0.2.
    [Theory]
    [InlineData(75, 65536)]
    [InlineData(80, 166912)]
    [InlineData(86, 101376)]
    [InlineData(89, 101376)]
    [InlineData(90, 232448)]
    public void Every_tile_fits_the_cards_shared_memory(int architecture, int sharedBytes)
    {
        foreach (int headSize in AttentionPlan.TensorHeadSizes)
        {
            foreach (long blocks in (long[])[1, 1000])
            {
                AttentionForwardTile tile = AttentionPlan.ForwardTile(architecture, headSize, blocks, 100);
                Assert.InRange(tile.SharedBytes(headSize), 1, sharedBytes);
                Assert.Equal(0, AttentionPlan.BlockRows % tile.Queries);
                if (AttentionPlan.IsWide(architecture, headSize))
                    Assert.InRange(AttentionPlan.WideTile(architecture, blocks, 100).SharedBytes, 1, sharedBytes);
                if (architecture == 90) Assert.InRange(AttentionPlan.WarpgroupTile(blocks, 100).SharedBytes, 1, sharedBytes);
            }

            if (AttentionPlan.IsWide(architecture, headSize))
            {
                AttentionWideGradientTile wide = AttentionPlan.WideGradientTile(architecture);
                Assert.InRange(wide.QuerySharedBytes, 1, sharedBytes);
                Assert.InRange(wide.KeySharedBytes, 1, sharedBytes);
            }

            if (architecture == 90)
            {
                Assert.InRange(AttentionWarpgroupGradient.QuerySharedBytes, 1, sharedBytes);
                Assert.InRange(AttentionWarpgroupGradient.KeySharedBytes, 1, sharedBytes);
            }

            AttentionGradientTile gradient = AttentionPlan.GradientTile(architecture, headSize);
            Assert.InRange(gradient.SharedBytes(headSize), 1, sharedBytes);
            Assert.Equal(0, AttentionPlan.BlockRows % gradient.Rows);
        }
    }

    [Fact]
    public void Kernels_of_a_kind_of_card_match_its_tiles()
    {
        foreach (int architecture in (int[])[75, 80, 86, 89, 90])
        {
            foreach (int headSize in AttentionPlan.TensorHeadSizes)
            {
                AttentionTensorKernels kernels = AttentionTensorKernels.For(architecture, headSize);
                string element = $"-DELEMENT={(architecture < 80 ? "half" : "bfloat16")} -DHEAD_DIM={headSize}";
                Assert.Equal(element, kernels.PackSlots.Defines);
                string gradient = AttentionPlan.IsWide(architecture, headSize)
                    ? $"{AttentionPlan.WideGradientTile(architecture)}" : $"{element} {AttentionPlan.GradientTile(architecture, headSize)}";
                Assert.Equal(gradient, kernels.KeyGradient.Defines);
                foreach (long blocks in (long[])[1, 1000])
                {
                    AttentionForwardTile tile = AttentionPlan.ForwardTile(architecture, headSize, blocks, 100);
                    Assert.Equal($"{element} {tile}", kernels.Forward(tile).Defines);
                    if (!AttentionPlan.IsWide(architecture, headSize)) continue;
                    AttentionWideTile wide = AttentionPlan.WideTile(architecture, blocks, 100);
                    Assert.Equal($"{wide}", kernels.Wide(wide).Defines);
                    if (architecture != 90) continue;
                    AttentionWarpgroupTile tall = AttentionPlan.WarpgroupTile(blocks, 100);
                    Assert.Equal($"{tall}", kernels.Warpgroup(tall).Defines);
                }
            }
        }
    }

    [Fact]
    public void Every_specialisation_has_passed_the_compile_gate()
    {
        string budgets = File.ReadAllText(Goldens.RepositoryPath("kernels/budgets.csv"));
        IEnumerable<CudaKernel> kernels =
        [
            .. AttentionPlainKernels.All.SelectMany(k => (CudaKernel[])[k.Forward, k.RowSums, k.QueryGradient, k.KeyGradient]),
            .. AttentionTensorKernels.All.SelectMany(k => k.Kernels),
            .. AttentionDecodeKernels.All.SelectMany(k => (CudaKernel[])[k.Decode, k.Merge]),
        ];
        foreach (CudaKernel kernel in kernels) Assert.Matches($"(?m)^{kernel.File},{kernel.Defines},sm_[0-9]+a?,{kernel.Entry},", budgets);
    }

    // Prompts of 100, 1000, 2048 and 8192 tokens, two query heads to each of four key heads, on an H200.
    [Theory]
    [InlineData(8, 64, true)]
    [InlineData(64, 64, true)]
    [InlineData(128, 128, true)]
    [InlineData(512, 128, false)]
    public void Blocks_are_small_while_they_are_few_and_of_equal_work_while_each_has_a_multiprocessor(long blocks, int queries, bool paired)
    {
        Assert.Equal(new AttentionWideTile(queries, 128), AttentionPlan.WideTile(90, blocks, 132));
        Assert.Equal(paired, AttentionPlan.ArePaired(blocks, 132));
    }

    [Theory]
    [InlineData(1, 4, 132, 32)]
    [InlineData(1024, 4, 132, 32)]
    [InlineData(4096, 4, 132, 64)]
    [InlineData(1024, 4, 14, 160)]
    [InlineData(32768, 4, 132, 512)]
    [InlineData(131072, 1, 14, 512)]
    public void A_split_gives_every_multiprocessor_two_blocks_within_its_limits(int slots, int keyHeads, int multiprocessors, int expected) =>
        Assert.Equal(expected, AttentionPlan.SplitKeys(slots, keyHeads, multiprocessors));

    [Fact]
    public void Packed_blocks_follow_one_another_and_decoding_sequences_have_none()
    {
        // 200 rows with two heads to a key head are four blocks of 128; their slots are two.
        AttentionSequence[] sequences = [new(0, 1, PastCount: 1000), new(1, 200), new(201, 16, PastCount: 100), new(217, 0, PastCount: 5), new(217, 17, PastCount: 112)];
        var entries = new AttentionTableEntry[sequences.Length];
        AttentionTable table = AttentionTable.Describe(sequences, group: 2, keyHeads: 4, multiprocessors: 132, decodes: true, entries);

        Assert.Equal([0, 0, 4, 4, 4], entries.Select(entry => entry.QueryBlock));
        Assert.Equal([0, 0, 2, 2, 2], entries.Select(entry => entry.KeyBlock));
        Assert.Equal([0, 1, 1, 17, 17], entries.Select(entry => entry.DecodeRow));
        Assert.Equal([32, 0, 32, 0, 0], entries.Select(entry => entry.SplitKeys));
        Assert.Equal(new AttentionTable(default, 5, QueryBlocks: 5, KeyBlocks: 4, DecodeRows: 17, MostDecodeRows: 16, Splits: 32), table);
    }

    [Fact]
    public void A_recorded_pass_has_tiles_for_every_sequence()
    {
        var entries = new AttentionTableEntry[2];
        AttentionTable table = AttentionTable.Describe([new(0, 1), new(1, 2)], group: 1, keyHeads: 1, multiprocessors: 14, decodes: false, entries);
        Assert.Equal(new AttentionTable(default, 2, QueryBlocks: 2, KeyBlocks: 2, DecodeRows: 0, MostDecodeRows: 0, Splits: 0), table);
    }

    // Otherwise every token would launch something else, and a CUDA graph could not be replayed.
    [Fact]
    public void The_launches_of_decoding_change_rarely_while_a_sequence_grows()
    {
        var entries = new AttentionTableEntry[1];
        int[] splits = [.. Enumerable.Range(0, 8192).Select(past => AttentionTable.Describe([new(0, 1, PastCount: past)], 2, 4, 132, true, entries).Splits)];
        Assert.Equal([1, 2, 4, 8, 16, 32, 64, 128], splits.Distinct());
        Assert.InRange(splits.Zip(splits.Skip(1)).Count(pair => pair.First != pair.Second), 1, 16);
    }

    [Theory]
    [InlineData(CudaPrecision.Float32, 256, false)]
    [InlineData(CudaPrecision.Float16, 256, true)]
    [InlineData(CudaPrecision.BFloat16, 72, true)]
    [InlineData(CudaPrecision.BFloat16, 80, false)]
    public void Tensor_cores_are_for_16_bit_paths_and_known_head_sizes(CudaPrecision precision, int headSize, bool expected) =>
        Assert.Equal(expected, AttentionPlan.UsesTensorCores(precision, headSize));
}
