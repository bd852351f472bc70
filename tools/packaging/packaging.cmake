# What `cmake --install` puts where: libraries, header, program, data files, and how other builds find them
# (pkg-config's clvgg.pc; CMake's find_package(clvgg), which gives clvgg::clvgg and, as a component, clvgg::clvgg_static).
include(CMakePackageConfigHelpers)
set(packaging_dir ${CMAKE_CURRENT_LIST_DIR})
set(clvgg_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/clvgg)

# Two export sets: the static library names its dependencies, which users of the shared one need not have.
set_target_properties(clvgg_shared PROPERTIES EXPORT_NAME clvgg)
install(TARGETS clvgg_shared EXPORT clvgg-shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS clvgg_static EXPORT clvgg-static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT clvgg-shared FILE clvgg-shared.cmake NAMESPACE clvgg:: DESTINATION ${clvgg_cmake_dir})
install(EXPORT clvgg-static FILE clvgg-static.cmake NAMESPACE clvgg:: DESTINATION ${clvgg_cmake_dir})
configure_package_config_file(${packaging_dir}/clvgg-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/clvgg-config.cmake
  INSTALL_DESTINATION ${clvgg_cmake_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/clvgg-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/clvgg-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/clvgg-config-version.cmake
  DESTINATION ${clvgg_cmake_dir})

# clvgg.pc finds its prefix from where it lies itself, so that an installed tree can be moved.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR} OR IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
  set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH pc_up /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
  string(REGEX REPLACE "/$" "" pc_up "${pc_up}")
  set(pc_prefix "\${pcfiledir}/${pc_up}")
  set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
set(pc_private_libs "-pthread -lm")
if(CLVGG_CLBLAST)
  set(pc_private_libs "-lclblast ${pc_private_libs}")
endif()
configure_file(${packaging_dir}/clvgg.pc.in ${CMAKE_CURRENT_BINARY_DIR}/clvgg.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/clvgg.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS clvgg RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/include/clvgg/clvgg.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/clvgg)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/host/data/ DESTINATION ${CMAKE_INSTALL_DATADIR}/clvgg)
install(FILES ${PROJECT_SOURCE_DIR}/tools/example/classify.c DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
