using GemmaCore.Cuda;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Ops.Tests;

public sealed class CodeTilesTests
{
    public static TheoryData<string> Cards => [.. TestDevices.Cards(1)];

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_matrix_in_tiles_is_the_same_matrix(string card)
    {
        using OpFixture onCpu = new(), onCard = new(card);
        foreach (Shape shape in (Shape[])[new(16, 64), new(48, 192), new(32, 1216)])
        {
            using QuantizedSample rows = new(onCpu.Device, shape, seed: 1), tiles = new(onCard.Device, shape, seed: 1);
            foreach ((QuantizedMatrix inRows, QuantizedMatrix inTiles) in ((QuantizedMatrix, QuantizedMatrix)[])
                [(rows.Nf4, tiles.Nf4), (rows.Nf4Nested, tiles.Nf4Nested), (rows.Int8, tiles.Int8), (rows.Int8Groups, tiles.Int8Groups)])
            {
                Assert.False(inRows.InTiles);
                Assert.True(inTiles.InTiles);
                Assert.Equal(inRows.ToFloats(), inTiles.ToFloats());
                inTiles.Arrange(); // a second time changes nothing
                Assert.Equal(inRows.ToFloats(), inTiles.ToFloats());
            }
        }
    }

    // One row too many or one column too few: rows stay rows.
    [Theory]
    [InlineData(17, 64)]
    [InlineData(16, 63)]
    [InlineData(8, 128)]
    public void What_is_not_whole_tiles_stays_as_it_is(int outputs, int inputs)
    {
        using var fixture = new OpFixture("t4/random");
        using var sample = new QuantizedSample(fixture.Device, new Shape(outputs, inputs), seed: 2);
        Assert.False(sample.Nf4.InTiles || sample.Int8.InTiles || sample.Int8Groups.InTiles);
    }

    // By the description in codes.cuh: of NF4 lane i reads 8 bytes of row i / 4 and 8 of row i / 4 + 8, of 8-bit codes rows of 64 bytes follow one another.
    [Theory]
    [MemberData(nameof(Cards))]
    public void A_warp_reads_a_tile_in_the_order_of_its_lanes(string card)
    {
        using var fixture = new OpFixture(card);
        const int outputs = 32, inputs = 192, tiles = inputs / 64;
        byte[] nf4 = Number(outputs * inputs / 2), int8 = Number(outputs * inputs);
        byte[] nf4Tiles = Arranged(fixture, nf4, new Shape(outputs, inputs)), int8Tiles = Arranged(fixture, int8, new Shape(outputs, inputs));
        for (int stripe = 0; stripe < outputs / 16; stripe++)
        {
            for (int tile = 0; tile < tiles; tile++)
            {
                for (int lane = 0; lane < 32; lane++)
                {
                    int at = ((stripe * tiles) + tile) * 512 + lane * 16;
                    for (int half = 0; half < 2; half++)
                    {
                        int row = stripe * 16 + lane / 4 + 8 * half, from = (row * inputs + tile * 64 + lane % 4 * 16) / 2;
                        Assert.Equal(nf4[from..(from + 8)], nf4Tiles[(at + 8 * half)..(at + 8 * half + 8)]);
                    }
                }

                for (int row = 0; row < 16; row++)
                {
                    int at = (stripe * tiles + tile) * 1024 + row * 64, from = (stripe * 16 + row) * inputs + tile * 64;
                    Assert.Equal(int8[from..(from + 64)], int8Tiles[at..(at + 64)]);
                }
            }
        }
    }

    private static byte[] Number(int count) => [.. Enumerable.Range(0, count).Select(i => (byte)(i * 7 + i / 256))];

    // By slabs of 16 rows, so that there is more than one.
    private static byte[] Arranged(OpFixture fixture, byte[] codes, Shape w)
    {
        using var buffer = new DeviceBuffer(fixture.Device, new Shape(codes.Length), DType.U8);
        fixture.Device.CopyFromHost(codes, buffer.View);
        CodeTiles.ArrangeCodes((CudaDevice)fixture.Device, buffer.View, w, slabBytes: 1);
        Assert.Equal(codes, CodeTiles.CodesInRows(buffer.View, w));
        byte[] arranged = new byte[codes.Length];
        fixture.Device.CopyToHost(buffer.View, arranged);
        return arranged;
    }
}
