using System.Globalization;

namespace GemmaCore.Cuda.Tests;

public sealed class CudaTargetTests
{
    [Theory]
    [InlineData(75, 75, 90, "sm_75")]
    [InlineData(86, 86, 90, "sm_86")]
    [InlineData(90, 75, 90, "compute_75")]
    [InlineData(90, 90, 86, "compute_86")]
    [InlineData(120, 120, 90, "compute_90")]
    [InlineData(120, 120, 120, "sm_120")]
    public void Machine_code_for_exactly_the_card_else_PTX(int capability, int architecture, int newest, string target) =>
        Assert.Equal(target, CudaTarget.Compiled(capability, architecture, newest));

    [Theory]
    [InlineData(90, true, "sm_90a")]
    [InlineData(90, false, "sm_90")]
    [InlineData(100, true, "compute_90")] // what only Hopper has, no later card has
    public void Hopper_gets_its_own_instructions_where_the_compiler_knows_them(int capability, bool known, string target)
    {
        string compiled = CudaTarget.Compiled(capability, 90, 90, known);
        Assert.Equal(target, compiled);
        Assert.Equal(90, CudaTarget.Number(compiled));
        Assert.Equal(target == "sm_90a", CudaTarget.HasWarpgroups(compiled));
    }

    [Theory]
    [InlineData("75 80 86 89 90", 89, 89, 89)]
    [InlineData("75 80", 86, 86, 80)]
    [InlineData("75 80", 86, 75, 0)] // code of 7.5 runs on no 8.x
    [InlineData("86", 80, 80, 0)]
    [InlineData("75 80", 90, 90, 0)]
    [InlineData("", 75, 75, 0)]
    public void Built_machine_code_runs_on_its_own_major_version(string built, int capability, int architecture, int expected) =>
        Assert.Equal(expected, CudaTarget.Prebuilt(
            capability, architecture, built.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(one => int.Parse(one, CultureInfo.InvariantCulture))));

    [Theory]
    [InlineData(77, "unknown")]
    [InlineData(90, "above the card's own")]
    public void An_architecture_that_cannot_be_is_refused(int asked, string complaint)
    {
        var error = Assert.Throws<CudaException>(() => CudaTarget.Architecture(80, asked, "cuda:0 (a card)"));
        Assert.Contains(complaint, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(11, 2, 86)]
    [InlineData(11, 4, 87)]
    [InlineData(11, 8, 90)]
    [InlineData(12, 4, 90)]
    [InlineData(12, 8, 120)]
    [InlineData(13, 0, 120)]
    public void A_compiler_knows_the_architectures_of_its_time(int major, int minor, int newest) => Assert.Equal(newest, Nvrtc.NewestFor((major, minor)));

    [Theory]
    [InlineData(0, "libnvrtc.so.13 libnvrtc.so.12 libnvrtc.so.11.2 libnvrtc.so")]
    [InlineData(13, "libnvrtc.so.13 libnvrtc.so.12 libnvrtc.so.11.2 libnvrtc.so")]
    [InlineData(12, "libnvrtc.so.12 libnvrtc.so.11.2 libnvrtc.so libnvrtc.so.13")]
    [InlineData(11, "libnvrtc.so.11.2 libnvrtc.so libnvrtc.so.13 libnvrtc.so.12")]
    public void A_compiler_newer_than_the_driver_comes_last(int driver, string order) => Assert.Equal(order, string.Join(' ', NativeSearch.NvrtcNames(driver, windows: false)));
}
